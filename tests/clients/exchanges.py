"""What an agent does with an SDK: each exchange carries a text to the model and checks what comes back.

An exchange gets the clients and the text, and returns the texts that the model ended with. It asserts that
the SDK was content: types, usage, tool calls. It must behave alike with the provider itself and through
Bauta; what went over the wire is for the caller to judge.
"""

import json
from dataclasses import dataclass

import anthropic
import openai

from scripted_provider import CALL_ID, TEXT, TOOL, USAGE

TIMEOUT = 60
MODEL = "scripted-1"
PARAMETERS = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
CHAT_TOOL = {"type": "function", "function": {"name": TOOL, "description": "Runs it.", "parameters": PARAMETERS}}
RESPONSES_TOOL = {"type": "function", "name": TOOL, "description": "Runs it.", "parameters": PARAMETERS, "strict": False}
MESSAGES_TOOL = {"name": TOOL, "description": "Runs it.", "input_schema": PARAMETERS}


@dataclass
class Clients:
    """Both SDKs, towards the provider itself or towards Bauta."""

    openai: openai.OpenAI
    anthropic: anthropic.Anthropic

    @classmethod
    def of(cls, openai_url, anthropic_url):
        options = {"timeout": TIMEOUT, "max_retries": 0}
        return cls(
            openai.OpenAI(api_key="sk-dummy", base_url=openai_url, **options),
            anthropic.Anthropic(api_key="sk-ant-dummy", base_url=anthropic_url, **options),
        )

    @classmethod
    def direct(cls, provider):
        return cls.of(f"{provider.url}/v1", provider.url)

    @classmethod
    def through(cls, sidecar):
        return cls.of(f"{sidecar.url}/openai/v1", f"{sidecar.url}/anthropic")


def content(text):
    assert text.startswith(TEXT), text
    return text


def call_arguments(raw):
    arguments = json.loads(raw) if isinstance(raw, str) else raw
    assert arguments["command"] == "login", arguments
    return json.dumps(arguments, ensure_ascii=False)


# --- OpenAI ------------------------------------------------------------------------------------------


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
    assert [row.embedding for row in answer.data] == [[0.25, -1.5, 3.0]] * 2
    return []


# --- Anthropic ---------------------------------------------------------------------------------------


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


EXCHANGES = (
    chat,
    chat_streamed,
    chat_tools,
    chat_tools_streamed,
    responses,
    responses_tools_streamed,
    embeddings,
    messages,
    messages_streamed,
    messages_tools,
    messages_tools_streamed,
    count_tokens,
)


def list_models(clients):
    """Both SDKs' model lists: requests without a body."""
    assert [model.id for model in clients.openai.models.list()] == [MODEL]
    assert [model.id for model in clients.anthropic.models.list()] == [MODEL]
