import pytest

from kaiko_server.engine.onnx import OnnxSession


@pytest.fixture(scope="session")
def session() -> OnnxSession:
    """Give the model that ships."""
    return OnnxSession.load(threads=2)
