"""LangChain, of a gateway: python callers_langchain.py BASE_URL MODEL EMBEDDINGS"""

from __future__ import annotations

import json
import sys
from typing import Any

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings

url, model, embeddings = sys.argv[1:]
there: Any = {"base_url": url, "api_key": "none"}
chat = ChatOpenAI(model=model, temperature=0, max_tokens=30, stream_usage=True, **there)
chain: Any = (
    ChatPromptTemplate.from_messages([("user", "What is the capital of {country}?")]) | chat | StrOutputParser()
)
chunks = list(chat.stream("What is the capital of France?"))
found = None
if embeddings != "none":
    embed = OpenAIEmbeddings(model=embeddings, check_embedding_ctx_length=False, **there)
    texts = ["The harbour of Rotterdam is large.", "Cats sleep for most of the day."]
    asked = embed.embed_query("How long do cats sleep?")
    near = [sum(a * b for a, b in zip(asked, each, strict=True)) for each in embed.embed_documents(texts)]
    found = texts[near.index(max(near))]
sys.stdout.write(
    json.dumps(
        {
            "whole": chain.invoke({"country": "France"}),
            "streamed": "".join(chunk.text for chunk in chunks),
            "tokens": sum((chunk.usage_metadata or {}).get("output_tokens", 0) for chunk in chunks),
            "completion": OpenAI(model=model, temperature=0, max_tokens=5, **there).invoke("Once upon a time"),
            "found": found,
        }
    )
    + "\n"
)
