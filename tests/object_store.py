"""An object store on the loopback address that fails now and then.

Run by tests/inference/test_ray.py; prints its address, then counts PUTs into a file.
"""

import sys
import threading
from pathlib import Path

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

_lock = threading.Lock()


def unreliable(application, counts):
    """Drops the first PUT of every fourth object; counts what came and what passed."""
    seen, numbers = {}, [0, 0]

    def answer(environ, start_response):
        if environ["REQUEST_METHOD"] == "PUT" and "/out/" in environ["PATH_INFO"]:
            path = environ["PATH_INFO"]
            with _lock:
                first = path not in seen
                seen.setdefault(path, len(seen))
                fails = first and seen[path] % 4 == 0
                numbers[0] += 1
                numbers[1] += fails
                counts.write_text(f"{numbers[0]} {numbers[1]}")
            if fails:
                environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
                # Not one of those that botocore tries again by itself.
                start_response("409 Conflict", [("Content-Type", "application/xml")])
                return [b"<Error><Code>OperationAborted</Code></Error>"]
        return application(environ, start_response)

    return answer


if __name__ == "__main__":
    moto = DomainDispatcherApplication(create_backend_app)
    server = make_server(
        "127.0.0.1", 0, unreliable(moto, Path(sys.argv[1])), threaded=True
    )
    sys.stdout.write(f"http://127.0.0.1:{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()
