"""One run of a browser-use agent: it does what its model says, until that says that it is done.

    python browser_agent.py CDP-URL MODEL-URL FOLDER TASK

FOLDER is where it may keep what it downloads, and all of which it may upload. It prints, as its last line, `{"done",
"result", "errors", "steps"}`; a step in which it only waited is none. What the model says is the provider's script
(`browser_model.py`).
"""

import asyncio
import json
import sys
from pathlib import Path

from browser_use import Agent, Browser, ChatOpenAI


async def main(browser_url, model_url, folder, task):
    browser = Browser(cdp_url=browser_url, enable_default_extensions=False, downloads_path=folder)
    model = ChatOpenAI(model="scripted-1", base_url=model_url, api_key="sk-dummy", max_retries=0)
    files = [str(file) for file in Path(folder).iterdir()]
    agent = Agent(task=task, llm=model, browser=browser, use_judge=False, directly_open_url=False, available_file_paths=files)
    history = await agent.run(max_steps=60)
    told = {
        "done": bool(history.is_successful()),
        "result": history.final_result(),
        "errors": [error for error in history.errors() if error],
        "steps": [step(each) for each in history.history if not waited(each)],
    }
    print(json.dumps(told), flush=True)


def step(item):
    """What one step found, and what came of its actions."""
    results = [[each.extracted_content, [head(file) for file in each.attachments or []]] for each in item.result]
    return {"title": item.state.title, "tabs": sorted(tab.url for tab in item.state.tabs), "results": results}


def waited(item):
    actions = item.model_output.action if item.model_output else []
    return [list(action.model_dump(exclude_unset=True)) for action in actions] == [["wait"]]


def head(file):
    return Path(file).read_bytes()[:5].decode("latin-1")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
