"""What an agent does with Google's Python SDK: see `exchange.py`."""

import io

from google import genai
from google.genai import types

from exchange import MODEL, PARAMETERS, call_arguments, content
from script import TOOL, USAGE, VECTOR

TOOLS = [{"function_declarations": [{"name": TOOL, "description": "Runs it.", "parameters_json_schema": PARAMETERS}]}]


def connect(url, timeout):
    options = types.HttpOptions(base_url=url, timeout=timeout * 1000)
    return genai.Client(api_key="AIza-dummy", http_options=options)


def generate(clients, text):
    config = {"system_instruction": f"Help. {text}"}
    answer = clients.google.models.generate_content(model=MODEL, contents=text, config=config)
    assert answer.usage_metadata.total_token_count == sum(USAGE)
    return [content(answer.text)]


def generate_streamed(clients, text):
    contents = [{"role": "user", "parts": [{"text": "Look:"}, {"text": text}]}]
    chunks = list(clients.google.models.generate_content_stream(model=MODEL, contents=contents))
    assert chunks[-1].candidates[0].finish_reason == "STOP"
    return [content("".join(chunk.text or "" for chunk in chunks))]


def generate_tools(clients, text):
    contents = [types.Content(role="user", parts=[types.Part.from_text(text=text)])]
    config = {"tools": TOOLS, "automatic_function_calling": {"disable": True}}
    first = clients.google.models.generate_content(model=MODEL, contents=contents, config=config)
    (call,) = first.function_calls
    assert call.name == TOOL
    seen = call_arguments(call.args)
    contents.append(first.candidates[0].content)
    result = types.Part.from_function_response(name=TOOL, response={"output": text})
    contents.append(types.Content(role="user", parts=[result]))
    last = clients.google.models.generate_content(model=MODEL, contents=contents, config=config)
    return [seen, content(last.text)]


def generate_embeddings(clients, text):
    answer = clients.google.models.embed_content(model=MODEL, contents=["first", text])
    assert [row.values for row in answer.embeddings] == [VECTOR] * 2
    return []


def generate_upload(clients, text):
    """A resumable upload: the bytes go to the address that the answer to the first request names."""
    config = {"mime_type": "text/plain", "display_name": "notes of today"}
    answer = clients.google.files.upload(file=io.BytesIO(text.encode()), config=config)
    assert (answer.name, answer.state) == ("files/f1", "ACTIVE")
    return []


EXCHANGES = (generate, generate_streamed, generate_tools, generate_embeddings)
SURFACES = (generate_upload,)
