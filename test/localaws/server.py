"""The local AWS: moto in server mode, patched at start-up, and strict.

    python server.py

listens on a free port of the loopback interface and prints one line when it is
ready:

    ready http://localhost:PORT

or, when the Python environment is not the one of requirements.txt,

    missing WHAT

It ends when its standard input closes, so that a parent that was killed never
leaves it behind, or on SIGTERM. Its log goes to standard error.

A request that AWS would refuse is refused here too. What is mended in moto, and
why, stands at the top of each module:

    cloudformation.py  the CloudFormation API
    engine.py          stacks and change sets: events, replacement, rollback
    template.py        templates: limits, references, functions
    providers.py       the resource types
    cloudwatch.py      alarms, anomaly detectors, dashboards
    rules.py           what CloudWatch demands beyond its service model
    shapes.py          the checks against the service models
    eventbridge.py     what rules deliver to log groups
    kms.py             the dates of aliases
    cases.py           what opening a case of AWS Support needs
    cbor.py            the protocol that the Go SDK speaks to CloudWatch
    journal.py         the record of all calls, at /keywatch-local/calls
"""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

MOTO = "5.2.1"

# The credential scope of a signed request names the service.
SERVICE = re.compile(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/")


class Router:
    """Sends CloudFormation to this project's own, the rest to moto."""

    def __init__(self, cloudformation: Any, moto: Any):
        self.cloudformation = cloudformation
        self.moto = moto

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        match = SERVICE.search(environ.get("HTTP_AUTHORIZATION", ""))
        if match and match.group(1) == "cloudformation":
            return self.cloudformation(environ, start_response)
        return self.moto(environ, start_response)


def application() -> Any:
    """The whole of the local AWS as a WSGI application."""
    from moto.moto_server.werkzeug_app import (
        DomainDispatcherApplication,
        create_backend_app,
    )

    import cases
    import cbor
    import cloudformation
    import cloudwatch
    import eventbridge
    import journal
    import kms

    cases.install()
    cloudwatch.install()
    eventbridge.install()
    kms.install()
    moto = DomainDispatcherApplication(create_backend_app)
    return journal.Journal(cbor.CborMiddleware(Router(cloudformation.application, moto)))


def missing() -> str:
    """What the Python environment lacks, or nothing."""
    try:
        found = version("moto")
        import flask  # noqa: F401
        import flask_cors  # noqa: F401
        import yaml  # noqa: F401
    except ImportError as error:  # PackageNotFoundError is one
        return f"moto[server]=={MOTO} ({error})"
    return "" if found == MOTO else f"moto {MOTO}, for which the patches are (found {found})"


def end_with_parent() -> None:
    """Ends this process when its standard input closes."""

    def watch() -> None:
        while sys.stdin.buffer.read(4096):
            pass
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    end_with_parent()
    lacking = missing()
    if lacking:
        print(f"missing {lacking}", flush=True)
        raise SystemExit(3)
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Handler(WSGIRequestHandler):
        def log_request(self, code: Any = "-", size: Any = "-") -> None:
            """The journal logs the calls, and says more."""

    server = make_server("127.0.0.1", 0, application(), threaded=True, request_handler=Handler)
    # "localhost", because moto takes the name of a bucket from the host otherwise.
    print(f"ready http://localhost:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
