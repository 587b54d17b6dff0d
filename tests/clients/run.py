"""Real clients, the real binary, a scripted provider: does a value get through, and are the clients content?

    python run.py BINARY MODULES [WORD …]      only the cases whose client or name holds a WORD
    python run.py --control MODULES [WORD …]   without Bauta: only the control cases

MODULES is the folder in which `npm ci` was run with `node/package-lock.json`.

Each exchange runs twice with each carrier. Straight to the provider it is the control: the decoder of
`readings.py` must find every value there, or it could not find one that Bauta lets through. Through Bauta
it must find none, but every name in its place. Whole agents run in the same two ways.

Under `loopback.py` nothing can call anybody else. The last line is `N passed, N failed`.
"""

import signal
import sys
import threading
import time
from contextlib import ExitStack

import agents
import beside
import cases
import readings
import sdk_anthropic
import sdk_google
import sdk_node
import sdk_openai
from carriers import ANY_CASE, ANY_CASE_CARRIERS, CARRIERS, DOCUMENT, SECRETS, SITE
from clients import Clients
from harness import Bench, Report, control, masked, masked_answers, not_read_yet, only_the_value_changes, surface, unaffected
from not_yet import NOT_READ_YET, expected
from scripted_provider import Provider
from sidecar import Sidecar

FAMILIES = {
    "openai (Python)": sdk_openai,
    "anthropic (Python)": sdk_anthropic,
    "google-genai (Python)": sdk_google,
    "openai (npm)": sdk_node.openai,
    "@anthropic-ai/sdk (npm)": sdk_node.anthropic,
    "@google/genai (npm)": sdk_node.google,
}
# Where a text goes through the same code as in exchanges that carry all, some carriers will do.
SOME = {name: CARRIERS[name] for name in ("plain", "JSON, 2 levels", "percent", "base64", "HTML, numeric")}

# Exchanges in whose answers nothing is told: there the SDK is content, and that is all.
SAY_NOTHING = ("embeddings", "files", "batches", "count_tokens", "upload")


def carriers_of(module):
    return CARRIERS if module in (sdk_openai, sdk_anthropic) else SOME


def run_control(report, modules):
    with Provider(SECRETS) as provider, Clients.direct(provider, modules) as clients:
        for client, module in FAMILIES.items():
            bench = Bench(report, client, provider, clients)
            for exchange in module.EXCHANGES + module.SURFACES:
                carriers = carriers_of(module) if exchange in module.EXCHANGES else SOME
                for carried, carry in carriers.items():
                    bench.case(f"control: {exchange.__name__}, {carried}", control, exchange, carry)
        bench = Bench(report, "openai (Python)", provider, clients)
        for carried, carry in ANY_CASE_CARRIERS.items():
            bench.case(f"control: any case, {carried}", any_case_control, carry)
        bench.case("control: lockstep openai", cases.lockstep_openai, clients)
        bench.named("anthropic (Python)").case("control: lockstep anthropic", cases.lockstep_anthropic, clients)


def run_masked(report, binary, modules):
    with ExitStack() as stack:
        provider = stack.enter_context(Provider(SECRETS))
        direct = stack.enter_context(Clients.direct(provider, modules))
        with Sidecar(binary, provider.url, DOCUMENT) as sidecar, Clients.through(sidecar, modules) as through:
            for client, module in FAMILIES.items():
                run_family(Bench(report, client, provider, direct, through), module)
            bench = Bench(report, "openai (Python)", provider, direct, through)
            run_cases(bench, sidecar)
        report.case("bauta", "p3: output and exit", cases.stopped_in_order, sidecar, SECRETS)


def run_family(bench, module):
    for exchange in module.EXCHANGES:
        for carried, carry in carriers_of(module).items():
            name = f"p1: {exchange.__name__}, {carried}"
            if carried in NOT_READ_YET:
                bench.case(f"not yet {name}", not_read_yet, carried, exchange, carry)
            else:
                bench.case(name, masked, exchange, carry)
    for exchange in module.SURFACES:
        for carried, carry in SOME.items():
            bench.case(f"p1: {exchange.__name__}, {carried}", surface, exchange, carry)
    for exchange in (*module.EXCHANGES, *filter(there, module.SURFACES)):
        bench.case(f"p7: {exchange.__name__} unaffected", unaffected, exchange)
        # What was said before a tool was called comes back from the SDK, in its own words.
        if "tools" not in exchange.__name__:
            bench.case(f"only the value changes: {exchange.__name__}", only_the_value_changes, exchange)


def there(exchange):
    return expected(exchange.__name__) is None


def run_cases(bench, sidecar):
    bench.case("p7: models unaffected", cases.models)
    bench.case("p1: odd places", cases.odd_places)
    bench.case("lockstep: openai", cases.lockstep_openai, bench.through)
    bench.named("anthropic (Python)").case("lockstep: anthropic", cases.lockstep_anthropic, bench.through)
    bench.case("provider errors pass", cases.provider_errors)
    bench.case("p6: unknown coding", cases.unknown_coding)
    bench.case("p1: many at once", cases.many_at_once)
    bench.case("p1: two megabytes", cases.large)
    for coding in cases.CODERS:
        bench.named("bauta").case(f"p6: {coding} body", cases.compressed, sidecar, coding)


def any_case_control(bench, carry):
    control(bench, sdk_openai.chat, carry, secrets=ANY_CASE, any_case=True)


def run_any_case(report, binary, modules):
    """Secrets that hold in any case."""
    values = {key: {"value": value, "ignore_case": True} for key, value in ANY_CASE.items()}
    with Provider(ANY_CASE) as provider, Sidecar(binary, provider.url, {SITE: values}) as sidecar:
        with Clients.through(sidecar, modules) as through:
            bench = Bench(report, "openai (Python)", provider, None, through)
            for carried, carry in ANY_CASE_CARRIERS.items():
                arguments = (sdk_openai.chat, carry, ANY_CASE)
                name = f"any case, {carried}"
                if name in NOT_READ_YET:
                    bench.case(f"not yet p1: {name}", not_read_yet_in_any_case, name, *arguments)
                else:
                    bench.case(f"p1: {name}", masked_in_any_case, *arguments)


def masked_in_any_case(bench, *arguments):
    masked(bench, *arguments, any_case=True)


def not_read_yet_in_any_case(bench, *arguments):
    not_read_yet(bench, *arguments, any_case=True)


def run_short(report, binary, modules):
    """Values that are common words."""
    with Provider(cases.SHORT) as provider:
        with Sidecar(binary, provider.url, {f"https://{cases.SHORT_SITE}": cases.SHORT}) as sidecar:
            with Clients.through(sidecar, modules) as through:
                bench = Bench(report, "openai (Python)", provider, None, through)
                bench.case("documented example", cases.documented_example)
                for client, module in FAMILIES.items():
                    for exchange in module.EXCHANGES:
                        name = f"documented example: {exchange.__name__}"
                        bench.named(client).case(name, cases.documented_exchange, exchange)
        password = {"x_password": cases.SHORT["x_password"]}
        report.case("bauta", "documented example: p3: output and exit", cases.stopped_in_order, sidecar, password)
        with Sidecar(binary, provider.url, {"https://example.com": {"x_group": "user"}}) as sidecar:
            with Clients.through(sidecar, modules) as through:
                bench = Bench(report, "openai (Python)", provider, None, through)
                bench.case("structural words", cases.structural_words)


def run_answers(report, binary, modules):
    """A provider that tells values."""
    with ExitStack() as stack:
        provider = stack.enter_context(Provider(SECRETS, told=SECRETS))
        direct = stack.enter_context(Clients.direct(provider, modules))
        with Sidecar(binary, provider.url, DOCUMENT, masks_answers=True) as sidecar:
            with Clients.through(sidecar, modules) as through:
                for client, module in FAMILIES.items():
                    bench = Bench(report, client, provider, direct, through)
                    for exchange in (*module.EXCHANGES, *module.SURFACES):
                        says = not any(word in exchange.__name__ for word in SAY_NOTHING)
                        bench.case(f"answers: {exchange.__name__}", masked_answers, exchange, says)
        report.case("bauta", "answers: p3: output and exit", cases.stopped_in_order, sidecar, SECRETS)


def run_agents(report, binary, modules):
    for agent in agents.AGENTS:
        report.case(agent.name, "control", agents.control, agent, modules)
        if binary:
            report.case(agent.name, "p1", agents.masked, agent, modules, binary)
    if binary:
        report.case("bauta run", "an agent in Python", beside.python, binary)
        report.case("bauta run", "codex exec", beside.codex, binary, modules)
        report.case("bauta run", "claude", beside.claude, binary, modules)
        report.case("bauta run", "Ctrl-C", beside.ctrl_c, binary)


def main(binary, modules, *words):
    # An order to stop unwinds the stack, so that what was started is stopped too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    binary = None if binary == "--control" else binary
    started = time.monotonic()
    report = Report(words, ["the decoder", "bauta", "bauta run", *FAMILIES, *(agent.name for agent in agents.AGENTS)])
    report.case("the decoder", "self-test", self_test)
    # They wait for processes of their own more than they compute.
    beside = threading.Thread(target=run_agents, args=(report, binary, modules))
    beside.start()
    try:
        run_control(report, modules)
        if binary:
            # A sidecar that does not start is one failure, not the end of the report.
            for run in (run_masked, run_answers, run_short, run_any_case):
                report.group("bauta", run, report, binary, modules)
        beside.join()
    finally:
        agents.RUNNING.stop()
    print(f"in {time.monotonic() - started:.0f} s")
    return report.close()


def self_test():
    passed, failed = readings.self_test()
    assert passed and not failed


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
