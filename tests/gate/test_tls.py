"""HTTPS spoken by the server itself, with certificates made here."""

import http.client
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kaiko_server.settings import SettingsError
from kaiko_server.tls import Certificate
from tests.live import Server, kaiko


def make(folder, name="server", serial=1):
    """Write a certificate for this machine and its key, and give their paths."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "kaiko test")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key()).serial_number(serial)
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    made = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    cert_file, key_file = folder / f"{name}.crt", folder / f"{name}.key"
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return cert_file, key_file


def get(server, cert, path="/healthz", **options):
    """Ask over HTTPS, trusting this certificate alone; give status, headers and the serial number of what the server showed."""
    context = ssl.create_default_context(cafile=cert)
    for name, value in options.items():
        setattr(context, name, value)
    connection = http.client.HTTPSConnection(server.host, int(server.port), context=context, timeout=60)
    try:
        connection.request("GET", path, headers={"x-api-key": server.key})
        reply = connection.getresponse()
        reply.read()
        serial = x509.load_der_x509_certificate(connection.sock.getpeercert(binary_form=True)).serial_number
        return reply.status, {k.lower(): v for k, v in reply.getheaders()}, serial
    finally:
        connection.close()


def shown(server):
    """The certificate that a new connection is shown."""
    return x509.load_pem_x509_certificate(ssl.get_server_certificate((server.host, int(server.port))).encode()).serial_number


def test_https_and_renewal(tmp_path):
    """HTTPS with HSTS and no protocol older than TLS 1.2; a renewed certificate is taken without a restart, a broken one is not."""
    cert, key = make(tmp_path, serial=1)
    server = Server(tmp_path / "var", KAIKO_TLS_CERT=cert, KAIKO_TLS_KEY=key, KAIKO_TRUSTED_PROXIES="127.0.0.1")
    assert server.url.startswith("https://")
    status, headers, serial = get(server, cert, "/v2/models")
    assert (status, serial) == (200, 1)
    assert headers["strict-transport-security"] == "max-age=31536000"
    with pytest.raises(ssl.SSLError), pytest.warns(DeprecationWarning, match="TLSv1_1"):
        get(server, cert, maximum_version=ssl.TLSVersion.TLSv1_1)
    with pytest.raises((OSError, http.client.HTTPException)):
        server.request("GET", "/healthz")
    cert.write_text("no certificate")
    while b"cannot be used" not in server.err.read_bytes():
        """It has not looked yet."""
    assert shown(server) == 1
    make(tmp_path, serial=2)
    while shown(server) != 2:
        """It has not looked yet."""
    assert get(server, cert)[0] == 200
    assert server.stop() == 0
    assert b"certificate renewed" in server.err.read_bytes()


def test_half_a_pair_changes_nothing(tmp_path):
    """While certificate and key do not belong together, as in the middle of a renewal, the old pair stays."""
    cert, key = make(tmp_path)
    certificate = Certificate(cert, key)
    assert certificate.renew() is None
    other_cert, other_key = make(tmp_path, "other")
    cert.write_bytes(other_cert.read_bytes())
    assert "mismatch" in certificate.renew()
    assert certificate.renew() is None
    key.write_bytes(other_key.read_bytes())
    assert certificate.renew() == "renewed"
    key.unlink()
    assert certificate.renew() == "No such file or directory"


@pytest.mark.parametrize("which", ["none", "nonsense", "another's", "no key"])
def test_what_cannot_be_used_is_told_at_the_start(tmp_path, which):
    """One line says which files, and why; nothing of what they hold."""
    cert, key = make(tmp_path)
    if which == "none":
        cert.unlink()
    elif which == "nonsense":
        key.write_text("nonsense")
    elif which == "another's":
        key = make(tmp_path, "other")[1]
    if which == "no key":
        refused = kaiko("serve", "--port", "0", "--tls-cert", cert, data_dir=tmp_path / "var")
        assert "belong together" in refused.stderr
    else:
        with pytest.raises(SettingsError, match="cannot be used"):
            Certificate(cert, key)
        refused = kaiko("serve", "--port", "0", "--tls-cert", cert, "--tls-key", key, data_dir=tmp_path / "var")
        assert str(cert) in refused.stderr
    assert refused.returncode == 1
    assert len(refused.stderr.strip().splitlines()) == 1
