"""Clients of the routes: over HTTP and over websockets, each in either colour.

from antiphon.router import StreamingClient, WebSocketClient

for event in StreamingClient().stream_response("POST", "/chat", json={"messages": [...]}):
    print(event.data, end="")

with WebSocketClient().connect() as session:
    session.send({"messages": [...]})
    for chunk in session.stream_response():
        print(chunk["data"], end="")
"""
