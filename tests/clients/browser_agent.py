"""One run of a browser-use agent: it logs in, reads the page that follows, and ends.

    python browser_agent.py CDP-URL MODEL-URL TASK

It prints, as its last line, `{"done", "result", "errors", "extracted"}`. What the model says is the provider's script
(`browser_model.py`).
"""

import asyncio
import json
import sys

from browser_use import Agent, Browser, ChatOpenAI


async def main(browser_url, model_url, task):
    browser = Browser(cdp_url=browser_url, enable_default_extensions=False)
    model = ChatOpenAI(model="scripted-1", base_url=model_url, api_key="sk-dummy", max_retries=0)
    agent = Agent(task=task, llm=model, browser=browser, use_judge=False, directly_open_url=False)
    history = await agent.run(max_steps=8)
    told = {
        "done": history.is_done(),
        "result": history.final_result(),
        "errors": [error for error in history.errors() if error],
        "extracted": history.extracted_content(),
    }
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
