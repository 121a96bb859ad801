"""LangChain and LangGraph as their users write them: nothing here knows of a fake but the fixture."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from pydantic import BaseModel


@tool
def weather(city: Annotated[str, "a city"]) -> str:
    """The weather of a city."""
    return f"Rain in {city}."


class City(BaseModel):
    """A city."""

    name: str
    people: int


def summarize(text: str) -> str:
    prompt = ChatPromptTemplate.from_messages([("system", "You summarize."), ("user", "{text}")])
    chain: Any = prompt | ChatOpenAI(model="gpt-5-mini") | StrOutputParser()
    return str(chain.invoke({"text": text}))


def test_a_chain(fake_openai: Any) -> None:
    fake_openai.when(system="summarize", text="long").reply("Short.")
    assert summarize("A long text.") == "Short."
    fake_openai.assert_called(model="gpt-5-mini", text="A long text.", times=1)


@pytest.mark.parametrize("responses", [False, True])
def test_streams(fake_openai: Any, responses: bool) -> None:
    fake_openai.when(text="count").reply(["one ", "two ", "three"])
    model = ChatOpenAI(model="gpt-5-mini", use_responses_api=responses, stream_usage=True)
    chunks = list(model.stream("count"))
    assert "".join(chunk.text for chunk in chunks) == "one two three"
    total = sum((chunk.usage_metadata or {}).get("output_tokens", 0) for chunk in chunks)
    assert total > 0

    async def ask() -> str:
        return "".join([chunk.text async for chunk in model.astream("count")])

    assert asyncio.run(ask()) == "one two three"


@pytest.mark.parametrize("responses", [False, True])
def test_tools_in_a_graph(fake_openai: Any, responses: bool) -> None:
    fake_openai.when(tools="weather", text="Paris", tool_result=False).call_tool("weather", city="Paris")
    fake_openai.when(tool_result="Rain").reply("Take an umbrella.")
    model = ChatOpenAI(model="gpt-5-mini", use_responses_api=responses).bind_tools([weather])

    def agent(state: MessagesState) -> dict[str, Any]:
        return {"messages": [model.invoke([SystemMessage("Be brief."), *state["messages"]])]}

    graph: Any = StateGraph(MessagesState)
    graph.add_node("agent", agent)
    graph.add_node("tools", ToolNode([weather]))
    graph.add_edge(START, "agent")
    graph.add_conditional_edges("agent", tools_condition)
    graph.add_edge("tools", "agent")
    found = graph.compile().invoke({"messages": [HumanMessage("What is the weather in Paris?")]})
    kinds = [message.type for message in found["messages"]]
    assert kinds == ["human", "ai", "tool", "ai"]
    assert found["messages"][-1].text == "Take an umbrella."
    assert isinstance(found["messages"][1], AIMessage)
    assert found["messages"][1].tool_calls[0]["args"] == {"city": "Paris"}


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_objects(fake_openai: Any, method: Any) -> None:
    found = ChatOpenAI(model="gpt-5-mini").with_structured_output(City, method=method).invoke("A city, please.")
    assert isinstance(found, City)  # made up by the schema, since no rule says what it is


def test_embeddings_and_completions(fake_openai: Any) -> None:
    vectors = OpenAIEmbeddings(model="text-embedding-3-small").embed_documents(["a cat", "a kitten"])
    assert [len(vector) for vector in vectors] == [1536, 1536]
    assert (
        asyncio.run(OpenAIEmbeddings(model="text-embedding-3-small", dimensions=64).aembed_query("a")).__len__() == 64
    )
    assert OpenAI(model="gpt-3.5-turbo-instruct").invoke("Say something.")


def test_failures(fake_openai: Any) -> None:
    import openai

    fake_openai.when(text="busy").fail(429, code="rate_limit_exceeded")
    with pytest.raises(openai.RateLimitError):
        ChatOpenAI(model="gpt-5-mini", max_retries=0).invoke("busy")
