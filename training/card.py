"""The model card, written from the report: no figure in it is typed by hand."""

from collections.abc import Mapping, Sequence

_HEAD = """# Model card: {model}

Written by `{command}` at commit `{commit}`. Every figure below comes from that run, on the shipped int8 files alone, on
texts that were not trained on; brackets hold 95 % bootstrap intervals.

## What it is

A 6-layer encoder (all-MiniLM-L6-v2, Apache-2.0) with linear heads on the mean of its token vectors: six
core emotions (independent probabilities) and *neutral*, the 28 GoEmotions labels, valence, arousal, intensity, and
wonder, concern for others, own distress, talk of own feelings and of recurrence, danger (self-harm, violence, being a victim),
hostility, six conversation modes; and linear heads on each token for beliefs. It was distilled from all-mpnet-base-v2
(Apache-2.0) fine-tuned on the same data. Emoji, emoticons, hashtags and stretched words become plain words before the
tokenizer. Long text is read in overlapping windows; nothing is cut off.

## Meant for

Routing and prioritising messages, giving a chatbot a sense of tone, research on text, journals that their writers look at
themselves. **Not for** diagnosis, for judging employees, applicants, pupils or customers as persons, for finding out what
somebody feels against their will, or as the only thing between a person in danger and help.

## Limits

- English only, with emoji, slang and some code-mixing. Other languages are marked `low_confidence`; do not use the numbers.
- It reads what a text *expresses*; it does not know what a person feels.
- Irony, negation far from its word and mixed feelings are where it errs most; see the table of cues.
- The labels of the own corpus are a language model's reading; a second one agreed on .89 of the held-back main labels (alpha .86) and a
  third decided where they did not. No person has checked them. The base encoders were trained on Reddit text among others, and
  so was GoEmotions: figures on GoEmotions flatter it, those on the own corpus are the honest ones.
- How much names, pronouns, identities and dialects move a reading is in the figures below (`bias.…`); the sentences are few.
- Danger is overlooked, too, and seen where there is none: `safety.recall` and `safety.everyday_called` below say how often. Words for
  means are not in the training texts, so "I took all the pills" is not noticed. It is an aid for routing to a person.

## Figures

| figure | value | 95 % interval | rows |
|---|---|---|---|
{figures}

`corpus` is a held-back part of the own corpus, split by group, topic or run of neighbouring lines, near copies removed from training;
`confide` is one whole file (confidences to an assistant) that was never trained on. `main` is the share whose category is the
annotated main label; `implicit` the same where the feeling is told without naming it; `valence_sign` over texts whose annotated
valence is at least .2 from 0; `corpus_first_labels` are the same texts with the labels as they stood before second and third
readers mended 91 of them. `safety`, `hostility` and `mode` are the exam: sentences of an author who saw no training text.
`behaviour`, `bias` and `evidence` are explained in `training/behaviour.py`; `bias` is the most that any group's mean lies off,
over valence, intensity, danger and hostility. GoEmotions thresholds are fitted on nine tenths of dev and applied to the tenth,
ten times over.

### How far its numbers can be trusted

![Reliability diagrams: claimed probability against the share that was so](reliability.svg)

On the diagonal a number means what it says; below it, the model claims too much. The larger a point, the more readings it stands for
(`confidence` and the six emotions on both held-back parts, the 28 labels on GoEmotions dev, all labels of a kind pooled).
`core_mean_ece` and `goemotions.mean_ece` are means of each label's own error.

### By main label (own corpus, held-back part)

| label | precision | recall | rows |
|---|---|---|---|
{labels}

### By cue (both held-back parts)

| cue | right | rows |
|---|---|---|
{cues}

### GoEmotions dev, by label

| label | F1 | average precision | ECE | rows |
|---|---|---|---|---|
{go}

### Other languages

English alone was learnt. A reading of any other language is marked `"dataQuality": "low_confidence"` and its numbers mean nothing. How
often that works, on everyday messages, short and slangy ones among them, in the ten most spoken other languages (and on English
sentences that look like another language, which must not be marked):

| language | marked | named rightly | rows |
|---|---|---|---|
{languages}

What is missed is short or in chat spelling (romanised Arabic, "kkkk", "wkwkwk"): a small-word test cannot tell it from English slang.

## Data

| set | source and licence |
|---|---|
{data}

## Making it again

{cost}
"""


def _rows(table: Mapping[str, Mapping[str, float]], columns: Sequence[str]) -> str:
    return "\n".join(
        f"| {name} | " + " | ".join(str(row[c]) if c == "rows" else f"{row[c]:.3f}" for c in columns) + " |" for name, row in table.items()
    )


def _cost(training: Mapping[str, Mapping[str, float]]) -> str:
    lines = ["`make train DATA=DIR` runs every stage and goes on where it was stopped. On two cores, without a GPU, this run took:", ""]
    for name, used in training.items():
        if "seconds" in used:
            lines.append(
                f"- {name}: {used['seconds'] / 60:.0f} minutes, {used['steps']:.0f} steps, {used['peak_mib'] / 1024:.1f} GiB at the most"
            )
    return "\n".join(lines)


def render(report: Mapping[str, object], bars: Sequence[tuple[str, str, float]]) -> str:
    """Give the card in Markdown."""
    titles = {key: title for key, title, _ in bars}
    found: Mapping[str, Mapping[str, float]] = report["figures"]  # type: ignore[assignment]
    figures = "\n".join(
        f"| {titles.get(k, k)} | {v['value']:.3f} | {v['low']:.3f} … {v['high']:.3f} | {v['rows']} |" for k, v in found.items()
    )
    return _HEAD.format(
        model=report["model"],
        command=report["command"],
        commit=report["commit"],
        figures=figures,
        labels=_rows(report["labels"], ("precision", "recall", "rows")),  # type: ignore[arg-type]
        cues=_rows(report["cues"], ("accuracy", "rows")),  # type: ignore[arg-type]
        go=_rows(report["goemotions_labels"], ("f1", "average_precision", "ece", "rows")),  # type: ignore[arg-type]
        languages=_rows(report["languages"], ("marked", "named", "rows")),  # type: ignore[arg-type]
        data="\n".join(f"| {k} | {v} |" for k, v in report["data"].items()),  # type: ignore[attr-defined]
        cost=_cost(report["training"]),  # type: ignore[arg-type]
    )
