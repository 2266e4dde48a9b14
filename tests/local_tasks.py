"""Five small tasks in the format of lm-evaluation-harness, and the documents they ask about."""

import json
from pathlib import Path

HEAD = """\
task: {name}
dataset_path: json
dataset_kwargs:
  data_files: {{train: {folder}/train.json, test: {folder}/test.json}}
  cache_dir: {folder}/cache
training_split: train
test_split: test
fewshot_split: train
"""
TASKS = {
    "choose": """\
output_type: multiple_choice
doc_to_text: "{{word}} is"
doc_to_choice: choices
doc_to_target: answer
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - {metric: acc_norm, aggregation: mean, higher_is_better: true}
  - {metric: f1, aggregation: f1, higher_is_better: true}
  - {metric: brier_score, aggregation: brier_score, higher_is_better: false}
  - {metric: exact_match, aggregation: mean, higher_is_better: true}
metadata: {version: 1.0}
""",
    "say": """\
output_type: loglikelihood
doc_to_text: "{{word}} is "
doc_to_target: "{{choices[answer]}}"
metric_list:
  - {metric: perplexity, aggregation: perplexity, higher_is_better: false}
  - {metric: acc, aggregation: mean, higher_is_better: true}
""",
    "read": """\
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{word}} is {{choices[0]}}, and {{choices[1]}} too"
metric_list:
  - {metric: word_perplexity, aggregation: weighted_perplexity, higher_is_better: false}
  - {metric: bits_per_byte, aggregation: bits_per_byte, higher_is_better: false}
""",
    "write": """\
output_type: generate_until
doc_to_text: "{{word}} is"
doc_to_target: "{{said}}"
generation_kwargs: {until: ["7", "z"], max_gen_toks: 6, do_sample: false}
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true}
filter_list:
  - {name: strict-match, filter: [{function: take_first}]}
  - {name: loose, filter: [{function: lowercase}, {function: take_first}]}
""",
    "own": """\
output_type: loglikelihood
doc_to_text: "{{word}}"
doc_to_target: " {{choices[0]}}"
process_results: !function scoring.results
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
""",
}
TASKS["texts"] = (
    TASKS["own"]
    .replace("scoring.results", "scoring.texts")
    .replace("{metric: acc, aggregation: mean", "{metric: bleu, aggregation: bleu")
)
SCORING = """\
def results(doc, results):
    (nats, greedy), = results
    return {"acc": int(greedy), "half": nats / 2}


def texts(doc, results):
    return {"bleu": (doc["word"], "x"), "half": results[0][0] / 2}
"""
WORDS = ("sky", "grass", "snow", "coal", "milk", "rust", "sand", "rain")
CHOICES = ("blue", "green", "a dark grey")


def write_tasks(folder: Path) -> None:
    """Write the tasks, their documents and the Python that two of them name."""
    for split, words in (("train", WORDS[::-1]), ("test", WORDS)):
        rows = [
            {"word": word, "choices": CHOICES, "answer": index % 2, "said": ""}
            for index, word in enumerate(words)
        ]
        (folder / f"{split}.json").write_text("\n".join(map(json.dumps, rows)))
    for name, text in TASKS.items():
        (folder / f"{name}.yaml").write_text(HEAD.format(name=name, folder=folder) + text)
    (folder / "scoring.py").write_text(SCORING)
