from __future__ import annotations

import json

from omniforge.search.bo.fitted import Fitted


def test_it_survives_json() -> None:
    fitted = Fitted(7, ((0.5, -1.0), (2.0, 3.0)), ((1.0, 2.0),))
    assert Fitted.from_dict(json.loads(json.dumps(fitted.to_dict()))) == fitted
    assert Fitted.from_dict(Fitted().to_dict()) == Fitted()
