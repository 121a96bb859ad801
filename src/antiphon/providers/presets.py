"""Hosts that speak the API of OpenAI, by the name they are known by. Addresses as their own documentation has them."""

from __future__ import annotations

from typing import Final

from .provider import Provider

__all__ = ("PRESETS",)

PRESETS: Final[dict[str, Provider]] = {
    each.name: each
    for each in (
        Provider(
            "openai",
            "${OPENAI_BASE_URL:-https://api.openai.com/v1}",
            organization="${OPENAI_ORG_ID:-}",
            project="${OPENAI_PROJECT_ID:-}",
        ),
        Provider(
            "anthropic",
            "https://api.anthropic.com/v1",
            # The compatible calls take a bearer token, the list of models only these.
            headers={"x-api-key": "${api_key}", "anthropic-version": "2023-06-01"},
        ),
        Provider("azure", "${AZURE_OPENAI_ENDPOINT}/openai/v1", key_names=("AZURE_API_KEY", "AZURE_OPENAI_API_KEY")),
        Provider("cohere", "https://api.cohere.ai/compatibility/v1", key_names=("COHERE_API_KEY", "CO_API_KEY")),
        Provider("deepseek", "https://api.deepseek.com/v1"),
        Provider(
            "gemini",
            "https://generativelanguage.googleapis.com/v1beta/openai",
            key_names=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        ),
        Provider("groq", "https://api.groq.com/openai/v1"),
        Provider("mistral", "https://api.mistral.ai/v1"),
        Provider("nvidia", "https://integrate.api.nvidia.com/v1"),
        Provider("openrouter", "https://openrouter.ai/api/v1"),
        Provider("perplexity", "https://api.perplexity.ai", key_names=("PERPLEXITY_API_KEY", "PPLX_API_KEY")),
        Provider(
            "qwen",
            "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
            key_names=("QWEN_API_KEY", "DASHSCOPE_API_KEY"),
        ),
        Provider("xai", "https://api.x.ai/v1"),
        Provider("zai", "https://api.z.ai/api/paas/v4"),
        Provider("llamacpp", "http://localhost:8080/v1", key_needed=False),
        Provider("lmstudio", "http://localhost:1234/v1", key_needed=False),
        Provider("localai", "http://localhost:8080/v1", key_needed=False),
        Provider("ollama", "http://localhost:11434/v1", key_needed=False),
    )
}
