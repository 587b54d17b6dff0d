"""What an agent does with Anthropic's Python SDK: see `exchange.py`."""

import anthropic

from exchange import MODEL, PARAMETERS, call_arguments, content
from script import TOOL, USAGE

MESSAGES_TOOL = {"name": TOOL, "description": "Runs it.", "input_schema": PARAMETERS}


def connect(url, timeout):
    return anthropic.Anthropic(api_key="sk-ant-dummy", base_url=url, timeout=timeout, max_retries=0)


def messages(clients, text):
    system = [{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}]
    said = [{"role": "user", "content": "Hello."}]
    answer = clients.anthropic.messages.create(model=MODEL, max_tokens=64, system=system, messages=said)
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == USAGE
    assert answer.stop_reason == "end_turn"
    return [content(answer.content[0].text)]


def messages_streamed(clients, text):
    said = [{"role": "user", "content": text}]
    with clients.anthropic.messages.stream(model=MODEL, max_tokens=64, system="Help.", messages=said) as stream:
        whole = "".join(stream.text_stream)
        last = stream.get_final_message()
    assert last.content[0].text == whole and last.usage.output_tokens == USAGE[1]
    return [content(whole)]


def messages_tools(clients, text):
    said = [{"role": "user", "content": text}]
    options = {"model": MODEL, "max_tokens": 64, "tools": [MESSAGES_TOOL]}
    first = clients.anthropic.messages.create(messages=said, **options)
    assert first.stop_reason == "tool_use"
    (call,) = first.content
    seen = call_arguments(call.input)
    said.append({"role": "assistant", "content": [call.to_dict() | {"input": {"command": text}}]})
    result = [{"type": "text", "text": text}]
    said.append({"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": result}]})
    last = clients.anthropic.messages.create(messages=said, **options)
    return [seen, content(last.content[0].text)]


def messages_tools_streamed(clients, text):
    said = [{"role": "user", "content": [{"type": "text", "text": text}]}]
    options = {"model": MODEL, "max_tokens": 64, "tools": [MESSAGES_TOOL]}
    with clients.anthropic.messages.stream(messages=said, **options) as stream:
        (call,) = stream.get_final_message().content
    seen = call_arguments(call.input)
    said.append({"role": "assistant", "content": [{"type": "tool_use", "id": call.id, "name": TOOL, "input": call.input}]})
    said.append({"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": text}]})
    with clients.anthropic.messages.stream(messages=said, **options) as stream:
        last = stream.get_final_message()
    return [seen, content(last.content[0].text)]


def count_tokens(clients, text):
    said = [{"role": "user", "content": text}]
    answer = clients.anthropic.messages.count_tokens(model=MODEL, system=text, messages=said)
    assert answer.input_tokens == USAGE[0]
    return []


def message_files(clients, text):
    answer = clients.anthropic.files.upload(file=("notes of today.txt", text.encode(), "text/plain"))
    assert (answer.id, answer.filename) == ("file_1", "notes of today.txt")
    return []


def message_batches(clients, text):
    params = {"model": MODEL, "max_tokens": 9, "messages": [{"role": "user", "content": text}]}
    answer = clients.anthropic.messages.batches.create(requests=[{"custom_id": "one", "params": params}])
    assert answer.processing_status == "in_progress"
    return []


EXCHANGES = (messages, messages_streamed, messages_tools, messages_tools_streamed, count_tokens)
SURFACES = (message_files, message_batches)
