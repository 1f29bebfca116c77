"""The demo's last chapter: an exported receipt verifies offline, and any changed byte is found and named."""

from __future__ import annotations

from headwater.cli.demo_stage import Stage
from headwater.cli.demo_story_types import Story


def prove(stage: Stage, story: Story) -> None:
    stage.chapter("9. A proof that travels")
    file = stage.home / "receipt.json"
    exported = stage.run(
        "Everything behind one answer in one file", "receipt", "export", story.answers[0]["receipt_id"], str(file)
    )
    offline, said = _verify(stage, "Without node or network", str(file))
    stage.say(f"  {said.get('summary')} (exit {offline})")
    rooted, said = _verify(stage, "With a root that the reader trusts", str(file), "--root", exported["root"])
    stage.say(f"  {said.get('summary')} (exit {rooted})")
    chained, said = _verify(stage, "Or against a chain", str(file), "--rpc", stage.config.chain_rpc_url)
    stage.say(f"  {said.get('summary')} (exit {chained})")
    found = _tamper(stage, exported["root"])
    story.verified = (offline, rooted, chained) == (3, 0, 0) and found
    story.checks["an exported receipt verifies, and a changed byte is found"] = story.verified


def _verify(stage: Stage, why: str, *arguments: str) -> tuple[int, dict[str, object]]:
    stage.say(f"\n{why}\n  $ headwater receipt verify {' '.join(arguments)}")
    return stage.invoke("receipt", "verify", *arguments)


def _tamper(stage: Stage, root: str) -> bool:
    """Change single bytes all over the file; each must be refused with the name of a link."""
    original = (stage.home / "receipt.json").read_bytes()
    forged = stage.home / "forged.json"
    caught = 0
    places = range(7, len(original) - 1, max(1, len(original) // 16))
    for place in places:
        changed = bytearray(original)
        changed[place] = changed[place] ^ 1
        forged.write_bytes(bytes(changed))
        code, said = stage.invoke("receipt", "verify", str(forged), "--root", root)
        error = said.get("error") or {}
        caught += code == 1 and isinstance(error, dict) and bool(error.get("link"))
    stage.say(f"\n{len(places)} copies with one changed byte each: {caught} refused, each naming the broken link")
    return caught == len(places)
