"""What the scripted models say to a browser-use agent: one logs in with what the task names, one does what needs no secret."""

import json
import re

from script import Script

# How often it looks for an element that is not there.
LOOKS = 6
READ = "What does the page say about the account?"
# The flows of `browser_clients.FLOWS` for which an agent has actions, in the order in which it does them, and their steps.
STEPS = {"navigation": 4, "download": 1, "upload": 3, "tabs": 3, "print": 1}


class AgentScript(Script):
    """A script for one agent's run: its plan's steps follow one another, each made of what the page's description says.

    An agent whose browser answers late describes a page without elements. The script waits then, and looks again.
    """

    def __init__(self, names, plan):
        super().__init__(names, {})
        self._plan, self._looks = list(plan), LOOKS
        # The names of the actions that the agent says it can take.
        self.offered = set()

    def text(self, asked):
        said = json.dumps(asked, ensure_ascii=False)
        schema = (asked.get("response_format") or {}).get("json_schema", {})
        if schema.get("name") != "agent_output":
            # The page's text for a question about it.
            return f"The account's page. Seen: {', '.join(self.seen(asked)) or 'nothing'}."
        self.offered |= set(actions(schema))
        told = self._next(said)
        head = {"thinking": "One after the other.", "evaluation_previous_goal": "Well.", "memory": "", "next_goal": "Next."}
        return json.dumps(head | {"action": told})

    def _next(self, said):
        try:
            told = self._plan[0](said)
        except LookupError as error:
            self._looks -= 1
            if self._looks:
                return [{"wait": {"seconds": 2}}]
            return [{"done": {"text": f"The script is lost: {error}", "success": False}}]
        del self._plan[0]
        self._looks = LOOKS
        return told


def log_in(names, url, user, password):
    """It logs in with what the task names, reads, and ends."""

    def fill(said):
        fields = (("id=user", user), ("type=password", password))
        typed = [{"input": {"index": index(said, mark), "text": text}} for mark, text in fields]
        return [*typed, {"click": {"index": index(said, "id=submit")}}]

    return [
        lambda _: [{"navigate": {"url": url, "new_tab": False}}],
        fill,
        lambda _: [{"extract": {"query": READ, "extract_links": False}}],
        lambda said: done(f"Seen: {', '.join(name for name in names if name in said)}."),
    ]


def flows(home, file):
    """It does what needs no secret, in as many steps as `STEPS` says."""

    def go(path):
        return lambda _: [{"navigate": {"url": f"{home}/flow/{path}", "new_tab": False}}]

    def click(mark):
        return lambda said: [{"click": {"index": index(said, mark)}}]

    def upload(said):
        return [{"upload_file": {"index": index(said, "id=file"), "path": file}}, {"click": {"index": index(said, "id=send")}}]

    def look(selector):
        return lambda _: [{"find_elements": {"selector": selector}}]

    def close(said):
        # The newest state is the last in what is said.
        (tab,) = {re.findall(rf"Tab (\w{{4}}): {home}/flow/next", said)[-1]}
        return [{"close": {"tab_id": tab}}]

    return [
        *(go("start"), click("id=next"), look("#words"), lambda _: [{"go_back": {}}]),
        click("id=report"),
        *(go("upload"), upload, look("#told")),
        *(go("start"), click("id=tab"), close),
        lambda _: [{"save_as_pdf": {"file_name": "start"}}],
        lambda _: done("All was done."),
    ]


def done(text):
    return [{"done": {"text": text, "success": True}}]


def actions(schema):
    """Every key that an action of an agent's answer may have."""
    text = json.dumps(schema)
    return re.findall(r'"(\w+)": \{', text)


def index(said, mark):
    """The number that the page's description gives the first element with the mark."""
    found = re.findall(r"\[(\d+)\]<([^>]*)", said.replace('\\"', '"'))
    for number, element in reversed(found):
        if mark in element:
            return int(number)
    raise LookupError(f"no {mark} among {found}")
