"""The test job: works for some seconds, reports every fifth of them, then writes its text or fails."""

import json
import sys
import time
from pathlib import Path

STEPS = 5

parameters = json.loads(Path("parameters.json").read_text(encoding="utf-8"))["parameters"]
for step in range(STEPS):
    print(f"[STAGE {step + 1}/{STEPS}] Working", flush=True)
    time.sleep(parameters["seconds"]["value"] / STEPS)
if parameters["fail"]["value"]:
    sys.exit("[ERROR] fail: the job was asked to fail")
Path("results").mkdir(exist_ok=True)
Path("results/result.txt").write_text(parameters["text"]["value"] + "\n", encoding="utf-8")
