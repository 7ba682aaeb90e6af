"""`make audit-deps`: what Render installs, held against the advisories that PyPI publishes.

Says `passed` only where every package could be looked up. Where the advisories cannot be reached it
says `skipped`, which is no verdict; a known vulnerability fails.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMAND = [
    "tool", "run", "pip-audit==2.10.1", "--requirement", "requirements/prod.txt",
    "--require-hashes", "--disable-pip", "--format", "json", "--progress-spinner", "off",
]  # fmt: skip


def verdict(said: str, complaint: str) -> tuple[str, int]:
    """A sentence and an exit code, from what pip-audit wrote to its two outputs."""
    try:
        packages = json.loads(said)["dependencies"]
    except (ValueError, KeyError):
        why = (complaint.strip().splitlines() or ["no answer"])[-1]
        return f"skipped: the advisories could not be read ({why[:200]})", 0
    found = [
        f"  {package['name']} {package['version']}: {advisory['id']},"
        f" mended in {', '.join(advisory['fix_versions']) or 'no release yet'}"
        for package in packages
        for advisory in package.get("vulns", ())
    ]
    if found:
        return "\n".join([f"FAILED: {len(found)} known vulnerabilities", *found]), 1
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    if unknown or not packages:
        return f"skipped: {len(unknown)} of {len(packages)} packages could not be looked up", 0
    return f"passed: no known vulnerability in {len(packages)} packages", 0


def main() -> None:
    """Ask, tell, and leave with the verdict."""
    uv = Path(sys.executable).parent / "uv"
    done = subprocess.run(
        [str(uv), *COMMAND], cwd=ROOT, capture_output=True, text=True, check=False
    )
    sentence, code = verdict(done.stdout, done.stderr)
    sys.stdout.write(f"audit-deps {sentence}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
