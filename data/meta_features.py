"""Numbers that say how alike two data sets are, for the knowledge base of earlier jobs.

Simple, statistical and information-theoretic meta-features (Castiello et al. 2005; Vanschoren 2018, section 3.1), and
in place of landmarkers the signal of single columns, which the profile already has. All are finite and between -20 and
20, so that a plain distance is meaningful; counts are logarithms.
"""

from __future__ import annotations

import math

from .profile import DataProfile


def meta_features(profile: DataProfile) -> dict[str, float]:
    """Return the meta-features of a profile; every profile has the same names."""
    features = profile.features
    count = max(len(features) if profile.kind == "table" else math.prod(profile.shape), 1)
    cells = max(profile.rows * count, 1)
    skewness = sorted(min(abs(column.skewness), 20.0) for column in features if column.skewness is not None) or [0.0]
    signals = sorted((column.signal for column in features), reverse=True) or [0.0]
    categories = [column.distinct for column in features if column.kind == "categorical"] or [0]
    return {
        "log_rows": math.log10(max(profile.rows, 1)),
        "log_columns": math.log10(count),
        "log_rows_per_column": math.log10(max(profile.rows / count, 1e-3)),
        **{
            f"{kind}_share": sum(column.kind == kind for column in features) / count
            for kind in ("numeric", "categorical", "boolean", "datetime")
        },
        "missing_share": sum(column.missing for column in features) / cells,
        "columns_with_missing_share": sum(column.missing > 0 for column in features) / count,
        "duplicate_share": profile.duplicate_rows / max(profile.rows, 1),
        "log_most_categories": math.log10(1 + max(categories)),
        "mean_log_categories": sum(math.log10(1 + k) for k in categories) / len(categories),
        "median_skewness": skewness[len(skewness) // 2],
        "max_skewness": skewness[-1],
        "best_signal": signals[0],
        "third_signal": signals[min(2, len(signals) - 1)],
        "mean_signal": sum(signals) / len(signals),
        **_of_target(profile),
    }


def _of_target(profile: DataProfile) -> dict[str, float]:
    """Return what is about the target; for regression the class numbers are 0, and the other way round."""
    if profile.class_counts is None:
        skewness = max(-20.0, min(20.0, profile.target_stats["skewness"]))
        return {"classes": 0.0, "class_entropy": 0.0, "minority_share": 0.0, "target_skewness": skewness}
    shares = [count / profile.rows for count in profile.class_counts]
    entropy = -sum(share * math.log(share) for share in shares if share > 0) / math.log(len(shares))
    return {
        "classes": math.log2(len(shares)),
        "class_entropy": entropy,
        "minority_share": min(shares) * len(shares),
        "target_skewness": 0.0,
    }
