"""Triton's own messages, on pipes: reads lines of `[kind, message, what]` as JSON and answers each with one.

`read` gives what a message in hexadecimal says; `write` a message that says this, in hexadecimal.
"""

import json
import sys

from google.protobuf.json_format import MessageToDict, ParseDict
from tritonclient.grpc import service_pb2

for line in sys.stdin:
    kind, message, what = json.loads(line)
    made = getattr(service_pb2, message)()
    if kind == "read":
        made.ParseFromString(bytes.fromhex(what))
        answer = MessageToDict(made, preserving_proto_field_name=True)
    else:
        answer = ParseDict(what, made).SerializeToString().hex()
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
