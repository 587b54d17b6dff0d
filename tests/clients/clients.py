"""All SDKs under test, towards the provider itself or towards Bauta."""

from dataclasses import dataclass

import anthropic
import openai
from google import genai

import sdk_anthropic
import sdk_google
import sdk_node
import sdk_openai

# Seconds; met only by a client that hangs.
TIMEOUT = 60


@dataclass
class Clients:
    openai: openai.OpenAI
    anthropic: anthropic.Anthropic
    google: genai.Client
    node: sdk_node.Node

    @classmethod
    def direct(cls, provider, modules):
        return cls._at(modules, f"{provider.url}/v1", provider.url, provider.url)

    @classmethod
    def through(cls, sidecar, modules):
        return cls._at(modules, f"{sidecar.url}/openai/v1", f"{sidecar.url}/anthropic", f"{sidecar.url}/gemini")

    @classmethod
    def _at(cls, modules, for_openai, for_anthropic, for_gemini):
        return cls(
            sdk_openai.connect(for_openai, TIMEOUT),
            sdk_anthropic.connect(for_anthropic, TIMEOUT),
            sdk_google.connect(for_gemini, TIMEOUT),
            sdk_node.Node(modules, for_openai, for_anthropic, for_gemini),
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.node.close()
        for client in (self.openai, self.anthropic, self.google):
            client.close()


def list_models(clients):
    """Model lists: requests without a body."""
    for client in (clients.openai, clients.anthropic):
        assert [model.id for model in client.models.list()] == ["scripted-1"]
