"""What the binary does not do yet, in one place. Each entry holds a test to what happens instead; once the
feature is there, that test fails and asks for the entry to be removed.

An entry is a status (the client is told it, and no value is recorded), `AROUND` (the client goes to the provider
past Bauta, so the values are recorded) or `FALLS_BACK` (the client takes another transport, masked).
"""

AROUND, FALLS_BACK = "around", "falls back"

# By the name of an exchange, of a coding or of an agent.
NOT_YET = {}

# Carriers (`carriers.py`) whose values some reading of what leaves still holds. SECURITY.md states them as limits.
NOT_READ_YET = set()


def expected(name):
    return NOT_YET.get(name)


def landed(name):
    return AssertionError(f"`{name}` works: remove it from not_yet.py")
