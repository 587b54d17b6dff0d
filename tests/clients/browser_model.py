"""What the scripted model says to a browser-use agent: it logs in with what the task names, reads, and ends."""

import json
import re

from script import Script

READ = "What does the page say about the account?"


class AgentScript(Script):
    """A script for one agent's run, whose steps follow one another.

    `url` is the login page; `user` and `password` are what it types: names, or in the control the values.
    """

    def __init__(self, names, url, user, password):
        super().__init__(names, {})
        self.url, self.user, self.password = url, user, password
        self._step = 0

    def text(self, asked):
        said = json.dumps(asked, ensure_ascii=False)
        if (asked.get("response_format") or {}).get("json_schema", {}).get("name") != "agent_output":
            # The page's text for a question about it.
            return f"The account's page. Seen: {', '.join(self.seen(asked)) or 'nothing'}."
        try:
            actions = self._actions(said)
        except LookupError as error:
            actions = [{"done": {"text": f"The script is lost: {error}", "success": False}}]
        self._step += 1
        told = {"thinking": "One after the other.", "evaluation_previous_goal": "Well.", "memory": "", "next_goal": "Next."}
        return json.dumps(told | {"action": actions})

    def _actions(self, said):
        if self._step == 0:
            return [{"navigate": {"url": self.url, "new_tab": False}}]
        if self._step == 1:
            fields = (("id=user", self.user), ("type=password", self.password))
            typed = [{"input": {"index": index(said, mark), "text": text}} for mark, text in fields]
            return [*typed, {"click": {"index": index(said, "id=submit")}}]
        if self._step == 2:
            return [{"extract": {"query": READ, "extract_links": False}}]
        return [{"done": {"text": f"Seen: {', '.join(name for name in self.names if name in said)}.", "success": True}}]


def index(said, mark):
    """The number that the page's description gives the first element with the mark."""
    found = re.findall(r"\[(\d+)\]<([^>]*)", said.replace('\\"', '"'))
    for number, element in reversed(found):
        if mark in element:
            return int(number)
    raise LookupError(f"no {mark} among {found}")
