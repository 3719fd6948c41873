"""TLS for the servers of the stack: a certificate authority that exists for a moment, and what it signed."""

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from deploy.stack.secret_files import write_secret

_LIFE = timedelta(days=365)
# Clocks of client and server may differ a little.
_EARLIER = timedelta(minutes=5)


def make_certificates(folder: Path, name: str, hosts: Sequence[str] = ()) -> None:
    """Writes ca.pem and NAME.pem (key and certificate of a server on this machine), unless both are there.

    The authority's key is never written: whoever held it could make a broker of his own. `hosts` are further names
    of the server, beside those of this machine.
    """
    ca_file, server_file = folder / "ca.pem", folder / f"{name}.pem"
    if ca_file.exists() and server_file.exists():
        return
    ca_key, key = generate_private_key(SECP256R1()), generate_private_key(SECP256R1())
    ca_name = _name("Veil stack")
    ca = _begun(ca_name, ca_name, ca_key, ca_key)
    ca = ca.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    ca = ca.add_extension(_key_usage(signs_certificates=True), critical=True)

    server = _begun(_name(name), ca_name, key, ca_key)
    server = server.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    server = server.add_extension(_key_usage(signs_certificates=False), critical=True)
    # Brokers and controllers call each other: each is server and client.
    both_ways = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    server = server.add_extension(x509.ExtendedKeyUsage(both_ways), critical=False)
    here = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.IPv4Address("127.0.0.1")), *map(x509.DNSName, hosts)]
    server = server.add_extension(x509.SubjectAlternativeName(here), critical=False)

    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_secret(server_file, private + server.sign(ca_key, hashes.SHA256()).public_bytes(Encoding.PEM))
    ca_file.write_bytes(ca.sign(ca_key, hashes.SHA256()).public_bytes(Encoding.PEM))


def _begun(
    subject: x509.Name, issuer: x509.Name, key: EllipticCurvePrivateKey, issuer_key: EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + _LIFE)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
