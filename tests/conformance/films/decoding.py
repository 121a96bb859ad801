"""Decodes videos by FFmpeg and says what is in them: a line of JSON for each file that is named.

Beside each file the brightness of its first frame, of one in the middle and of its last is left, a byte for a pixel.
"""

from __future__ import annotations

import json
import sys

import av
import av.logging

av.logging.set_level(av.logging.WARNING)
av.logging.restore_default_callback()  # what FFmpeg complains of stands in stderr

for path in sys.argv[1:]:
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.options = {"err_detect": "explode"}
        stream.thread_type = "NONE"
        count, keys, wanted = 0, [], {0, stream.frames // 2, stream.frames - 1}
        for frame in container.decode(stream):
            if frame.key_frame:
                keys.append(count)
            if count in wanted:
                plane = frame.planes[0]
                rows = bytes(plane)
                with open(f"{path}.{sorted(wanted).index(count)}", "wb") as file:
                    step = plane.line_size
                    file.writelines(rows[at : at + frame.width] for at in range(0, step * frame.height, step))
            count += 1
        print(  # noqa: T201
            json.dumps(
                {
                    "frames": [stream.frames, count],
                    "keys": keys,
                    "rate": float(stream.average_rate),
                    "seconds": float(stream.duration * stream.time_base),
                    "size": [frame.width, frame.height],
                    "profile": stream.codec_context.profile,
                    "streams": len(container.streams),
                    "colours": [stream.codec_context.colorspace, stream.codec_context.color_range],
                }
            )
        )
