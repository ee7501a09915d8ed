"""Many requests at once, from a process of its own: a connection is a file at either end.

`python serving_flood.py HOST PORT COUNT`, what each sends on standard input; prints how often which status came.
"""

import asyncio
import json
import sys
from collections import Counter


async def flood(host: str, port: int, count: int, sent: bytes) -> dict[int, int]:
    """All of them are there before the first may go."""

    async def one() -> int:
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(sent)
            found = await reader.read()
            return int(found.split(b" ", 2)[1])
        finally:
            writer.close()

    return Counter(await asyncio.gather(*(one() for _ in range(count))))


if __name__ == "__main__":
    host, port, count = sys.argv[1:]
    print(json.dumps(asyncio.run(flood(host, int(port), int(count), sys.stdin.buffer.read()))))
