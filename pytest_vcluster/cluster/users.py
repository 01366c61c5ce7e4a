"""Users other than the administrator, for tests of permissions.

The one rule: a user is a client certificate and nothing in the cluster; who it is and what it may do is decided by the
role bindings that the test makes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from pytest_vcluster.cluster.lease import Grant
from pytest_vcluster.private_files import write_private

_LONGEST = 64  # X.509 gives a common name and an organization no more.


def user_kubeconfig(grant: Grant, name: str, groups: Sequence[str]) -> str:
    """A kubeconfig for the user `name`, member of `groups`; raises ValueError for what no certificate can say."""
    from pytest_vcluster.controlplane import kubeconfig  # noqa: PLC0415 - start-up time
    from pytest_vcluster.controlplane.pki import CertificateAuthority  # noqa: PLC0415 - start-up time

    if isinstance(groups, str):
        message = f"groups={groups!r} is a text; allowed: a list or tuple of group names, such as ({groups!r},)"
        raise TypeError(message)
    for what, text in (("user", name), *(("group", group) for group in groups)):
        if not 0 < len(text) <= _LONGEST:
            message = f"the {what} name {text!r} has {len(text)} characters; allowed: 1 to {_LONGEST}"
            raise ValueError(message)
    authority = CertificateAuthority.from_pem(grant.client_ca_certificate, grant.client_ca_key)
    return kubeconfig.render(
        name=grant.cluster,
        server=grant.url,
        certificate_authority=grant.certificate_authority,
        client=authority.client(name, groups),
        user=name,
    )


def add_user(grant: Grant, directory: Path, name: str, groups: Sequence[str]) -> Path:
    """Write the kubeconfig of a user, a file for every user and set of groups."""
    text = user_kubeconfig(grant, name, groups)
    directory.mkdir(mode=0o700, exist_ok=True)
    return write_private(directory / f"{file_name(name, groups)}.kubeconfig", text)


def file_name(name: str, groups: Sequence[str]) -> str:
    """A readable file name; whatever is unreadable or not said by it is in a hash."""
    digest = hashlib.sha256("\0".join((name, *groups)).encode()).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9._-]+', '-', name).strip('-.')[:40]}-{digest}".strip("-")
