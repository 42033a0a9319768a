"""A route that hands the request to its function and takes the reply from it, bytes in and bytes out."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute


class BytesRoute(APIRoute):
    """For functions of one parameter, the request; FastAPI describes the route, but solves no dependencies and encodes nothing.

    That work is for nothing here, and would be a tenth of what a request costs outside the model.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return handler
