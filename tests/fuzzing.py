"""What schemathesis is told of this server that a schema cannot say."""

import re
from uuid import uuid4

import schemathesis

GOOD_KEY = re.compile(r"[!#-~]([ -~]{0,253}[!-~])?")


@schemathesis.hook
def before_call(context, case, kwargs):  # noqa: ARG001 - as schemathesis calls it
    """A good idempotency key is used once: with another body it is refused, as it should be."""
    for name, value in (case.headers or {}).items():
        if name.lower() == "idempotency-key" and GOOD_KEY.fullmatch(str(value)):
            case.headers[name] = str(uuid4())
