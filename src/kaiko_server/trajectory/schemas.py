"""What the blocks of an arc look like, for the OpenAPI document (contract, sections 4.1 and 4.2)."""

from typing import Any, Final

from kaiko_server.trajectory.maths import CATEGORIES, COMPLEXITIES, WINDOWS

_UNIT: Final[dict[str, Any]] = {"type": "number", "minimum": 0, "maximum": 1}
_NUMBER: Final[dict[str, Any]] = {"type": "number"}
_COUNT: Final[dict[str, Any]] = {"type": "integer", "minimum": 0}
_STRING: Final[dict[str, Any]] = {"type": "string"}
_STRINGS: Final[dict[str, Any]] = {"type": "array", "items": _STRING}
_MOMENT: Final[dict[str, Any]] = {"type": "string", "format": "date-time"}
_CATEGORY: Final[dict[str, Any]] = {"type": "string", "enum": list(CATEGORIES)}


def _block(required: dict[str, Any], sometimes: dict[str, Any] | None = None, description: str = "") -> dict[str, Any]:
    told = {"type": "object", "required": list(required), "properties": required | (sometimes or {})}
    return told | {"description": description} if description else told


def _names(*values: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(values)}


_PERIOD: Final = _block({"start": _MOMENT, "end": _MOMENT, "dataPoints": _COUNT})
SCHEMAS: Final[dict[str, Any]] = {
    "Trajectory": _block(
        {
            "baseline": _block(
                {
                    "window": _names(*WINDOWS),
                    "dataPointCount": _COUNT,
                    "dominantEmotions": {"type": "object", "additionalProperties": _UNIT},
                    "averageIntensity": _UNIT,
                    "baselineValence": _NUMBER,
                    "baselineArousal": _UNIT,
                    "emotionalVolatility": _UNIT,
                    "averageComplexity": _names(*COMPLEXITIES),
                    "averageWonderIndex": _UNIT,
                    "breakthroughCount": _COUNT,
                },
                description="Of the user's messages before the latest, over `params.window`.",
            ),
            "trend": _block(
                {
                    "direction": _names("improving", "declining", "stable"),
                    "valenceTrend": _NUMBER,
                    "intensityTrend": _NUMBER,
                    "wonderTrend": _NUMBER,
                    "breakthroughRate": _NUMBER,
                },
                description="The second half of the time from the window's first message to its last, less the first half.",
            ),
            "similarMoments": _block(
                {
                    "moments": {
                        "type": "array",
                        "items": _block(
                            {
                                "memoryId": _STRING,
                                "similarity": _NUMBER,
                                "emotion": _CATEGORY,
                                "intensity": _UNIT,
                                "timestamp": _MOMENT,
                                "tags": _STRINGS,
                            }
                        ),
                    },
                    "patterns": _STRINGS,
                    "insights": _STRINGS,
                },
                description="Up to five: the nearest of the 64 messages before, and of a fair sample of 128 older ones.",
            ),
        },
        {
            "breakthrough": _block(
                {"detected": {"type": "boolean"}},
                {"type": _names("discovery_level", "intensity_spike", "wonder_explosion"), "significance": _UNIT},
                "Absent as long as there is no baseline.",
            ),
            "momentum": _block(
                {
                    "currentEmotion": _CATEGORY,
                    "currentIntensity": _UNIT,
                    "currentWonder": _UNIT,
                    "trajectory": _names("escalating", "de-escalating", "stable"),
                    "momentum": _NUMBER | {"description": "Intensity an hour."},
                    "averageIntensity": _UNIT,
                    "averageWonder": _UNIT,
                    "averageValence": _NUMBER,
                    "emotionalVolatility": _UNIT,
                    "discoveryPotential": _names("high", "medium", "low"),
                    "windowHours": {"const": 24},
                    "dataPointCount": _COUNT,
                },
                description="Over the last 24 hours, and over the 64 latest messages of them at most; absent below two.",
            ),
        },
    ),
    "Patterns": _block(
        {
            "detected": {
                "type": "array",
                "items": _block(
                    {
                        "patternId": _STRING,
                        "patternType": _names("temporal", "trigger_based", "cyclical", "sequential", "recovery"),
                        "name": _STRING,
                        "description": _STRING,
                        "emotionalSequence": {"type": "array", "items": _CATEGORY},
                        "frequency": {"type": "integer", "minimum": 3},
                        "confidence": _UNIT | {"description": "How often it comes when it could."},
                        "firstDetected": _MOMENT,
                        "lastOccurrence": _MOMENT,
                    },
                    {"trigger": _STRING, "typicalDuration": _NUMBER | {"description": "Minutes."}},
                ),
            },
            "activePatterns": _STRINGS | {"description": "Ids of those that came within the last week."},
            "patternSummary": _STRING,
        },
        description="What recurs in the user's messages; moments are whole days (UTC).",
    ),
    "Growth": _block(
        {
            "comparisonWindow": _block({"recent": _PERIOD, "historical": _PERIOD}),
            "dimensions": {
                "type": "array",
                "items": _block(
                    {
                        "dimension": _names("regulation", "awareness", "vulnerability", "resilience", "complexity"),
                        "percentageChange": _NUMBER,
                        "recentValue": _NUMBER,
                        "historicalValue": _NUMBER,
                        "threshold": _NUMBER,
                        "isGrowing": {"type": "boolean"},
                        "description": _STRING,
                    }
                ),
            },
            "overallGrowthScore": {"type": "number", "minimum": -100, "maximum": 100},
            "dimensionsGrowing": _COUNT,
            "dimensionsDecline": _COUNT,
            "summary": _STRING,
        },
        description="The last 30 days against the 30 before; absent unless each holds five messages of the user.",
    ),
}
