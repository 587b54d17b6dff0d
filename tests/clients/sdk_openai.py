"""What an agent does with OpenAI's Python SDK: see `exchange.py`."""

import json

import openai

from exchange import MODEL, PARAMETERS, call_arguments, content
from script import CALL_ID, TOOL, USAGE, VECTOR

CHAT_TOOL = {"type": "function", "function": {"name": TOOL, "description": "Runs it.", "parameters": PARAMETERS}}
RESPONSES_TOOL = {"type": "function", "name": TOOL, "description": "Runs it.", "parameters": PARAMETERS, "strict": False}


def connect(url, timeout):
    return openai.OpenAI(api_key="sk-dummy", base_url=url, timeout=timeout, max_retries=0)


def chat(clients, text):
    messages = [{"role": "system", "content": "Help."}, {"role": "user", "content": text}]
    answer = clients.openai.chat.completions.create(model=MODEL, messages=messages)
    assert answer.usage.total_tokens == sum(USAGE)
    assert answer.choices[0].finish_reason == "stop"
    return [content(answer.choices[0].message.content)]


def chat_streamed(clients, text):
    messages = [{"role": "user", "content": [{"type": "text", "text": "Look:"}, {"type": "text", "text": text}]}]
    options = {"stream": True, "stream_options": {"include_usage": True}}
    *chunks, last = clients.openai.chat.completions.create(model=MODEL, messages=messages, **options)
    assert last.usage.total_tokens == sum(USAGE)
    assert chunks[-1].choices[0].finish_reason == "stop"
    return [content("".join(chunk.choices[0].delta.content or "" for chunk in chunks))]


def chat_tools(clients, text):
    messages = [{"role": "user", "content": text}]
    first = clients.openai.chat.completions.create(model=MODEL, messages=messages, tools=[CHAT_TOOL])
    (call,) = first.choices[0].message.tool_calls
    assert (call.id, call.function.name) == (CALL_ID, TOOL)
    seen = call_arguments(call.function.arguments)
    messages.append(first.choices[0].message.to_dict())
    messages.append({"role": "tool", "tool_call_id": call.id, "content": json.dumps({"stdout": text})})
    last = clients.openai.chat.completions.create(model=MODEL, messages=messages, tools=[CHAT_TOOL])
    return [seen, content(last.choices[0].message.content)]


def chat_tools_streamed(clients, text):
    messages = [{"role": "user", "content": "Log in."}, {"role": "user", "content": text}]
    options = {"model": MODEL, "messages": messages, "tools": [CHAT_TOOL]}
    with clients.openai.chat.completions.stream(**options) as stream:
        first = stream.get_final_completion()
    (call,) = first.choices[0].message.tool_calls
    seen = call_arguments(call.function.arguments)
    # An agent may have put the real value into the arguments of an earlier call.
    used = {"name": TOOL, "arguments": json.dumps({"command": text}, ensure_ascii=False)}
    messages.append({"role": "assistant", "tool_calls": [{"id": CALL_ID, "type": "function", "function": used}]})
    messages.append({"role": "tool", "tool_call_id": CALL_ID, "content": text})
    with clients.openai.chat.completions.stream(**options) as stream:
        last = stream.get_final_completion()
    return [seen, content(last.choices[0].message.content)]


def responses(clients, text):
    answer = clients.openai.responses.create(model=MODEL, instructions="Help.", input=text)
    assert answer.status == "completed" and answer.usage.total_tokens == sum(USAGE)
    return [content(answer.output_text)]


def responses_tools_streamed(clients, text):
    said = [{"role": "user", "content": [{"type": "input_text", "text": text}]}]
    options = {"model": MODEL, "tools": [RESPONSES_TOOL]}
    with clients.openai.responses.stream(input=said, **options) as stream:
        first = stream.get_final_response()
    (call,) = first.output
    assert (call.type, call.call_id, call.name) == ("function_call", CALL_ID, TOOL)
    seen = call_arguments(call.arguments)
    said.append({"type": "function_call", "call_id": CALL_ID, "name": TOOL, "arguments": call.arguments})
    said.append({"type": "function_call_output", "call_id": CALL_ID, "output": text})
    pieces, last = [], None
    for event in clients.openai.responses.create(input=said, stream=True, **options):
        if event.type == "response.output_text.delta":
            pieces.append(event.delta)
        last = event
    assert last.type == "response.completed" and last.response.output_text == "".join(pieces)
    return [seen, content(last.response.output_text)]


def embeddings(clients, text):
    answer = clients.openai.embeddings.create(model=MODEL, input=["first", text])
    assert [row.embedding for row in answer.data] == [VECTOR] * 2
    return []


def files(clients, text):
    answer = clients.openai.files.create(file=("notes of today.txt", text.encode()), purpose="user_data")
    assert (answer.filename, answer.purpose, answer.status) == ("notes of today.txt", "user_data", "processed")
    return []


def batches(clients, text):
    lines = []
    for turn in range(3):
        body = {"model": MODEL, "messages": [{"role": "user", "content": f"{turn}: {text}"}]}
        lines.append(json.dumps({"custom_id": str(turn), "method": "POST", "url": "/v1/chat/completions", "body": body}))
    data = "\n".join(lines).encode()
    file = clients.openai.files.create(file=("batch.jsonl", data, "application/jsonl"), purpose="batch")
    options = {"endpoint": "/v1/chat/completions", "completion_window": "24h", "metadata": {"note": text}}
    batch = clients.openai.batches.create(input_file_id=file.id, **options)
    assert (batch.status, batch.input_file_id) == ("validating", file.id)
    return []


def responses_websocket(clients, text):
    """Two turns over one connection; the second brings only what is new."""
    told, last = [], None
    said = [{"role": "user", "content": [{"type": "input_text", "text": text}]}]
    with clients.openai.responses.connect(max_retries=0) as connection:
        for _ in range(2):
            connection.response.create(model=MODEL, tools=[RESPONSES_TOOL], input=said, previous_response_id=last)
            event = next(event for event in connection if event.type == "response.completed")
            (item,) = event.response.output
            last = event.response.id
            if item.type == "function_call":
                told.append(call_arguments(item.arguments))
                said = [{"type": "function_call_output", "call_id": item.call_id, "output": text}]
            else:
                told.append(content(item.content[0].text))
    assert len(told) == 2
    return told


EXCHANGES = (
    chat,
    chat_streamed,
    chat_tools,
    chat_tools_streamed,
    responses,
    responses_tools_streamed,
    embeddings,
)
# What carries a text otherwise than as JSON over HTTP.
SURFACES = (files, batches, responses_websocket)
