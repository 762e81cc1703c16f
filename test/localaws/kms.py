"""KMS: moto's, with the dates of aliases.

What this mends in moto 5.2.1:
- ListAliases answers without CreationDate and LastUpdatedDate, which say since when
  an alias points to its key.
"""

from __future__ import annotations

import json
from typing import Any

from moto.core.utils import unix_time
from moto.kms.models import Alias, KmsBackend
from moto.kms.responses import KmsResponse


def install() -> None:
    """Gives every alias its dates, and shows them."""
    init, update, listed = Alias.__init__, KmsBackend.update_alias, KmsResponse.list_aliases

    def dated_init(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        self.created = self.updated = unix_time()

    def dated_update(self: Any, *args: Any, **kwargs: Any) -> Alias:
        alias = update(self, *args, **kwargs)
        alias.updated = unix_time()
        return alias

    def list_aliases(self: Any) -> str:
        answer = json.loads(listed(self))
        aliases = {a.alias_name: a for a in self.kms_backend.list_aliases()}
        for entry in answer["Aliases"]:
            if alias := aliases.get(entry["AliasName"]):
                entry["CreationDate"] = alias.created
                entry["LastUpdatedDate"] = alias.updated
        return json.dumps(answer)

    Alias.__init__ = dated_init
    KmsBackend.update_alias = dated_update
    KmsResponse.list_aliases = list_aliases
