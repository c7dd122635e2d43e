"""`--on` and what follows it: a name or a profile, and options of the executor's own."""

import pytest

from baselines.names import UserError
from benchmarks.executors.chosen import chosen, names


def test_every_executor_is_a_module_with_options():
    assert names() == ["local", "ray", "slurm"]
    for name in names():
        assert chosen(name).name == name


def test_the_command_line_outdoes_the_profile(tmp_path):
    profile = tmp_path / "ours.toml"
    profile.write_text('on = "slurm"\npartition = "long"\ntime = "1-02:00:00"\n[sbatch]\nnice = 100\n')
    found = chosen(str(profile), ["--partition", "short", "--array=8"])
    options = {key: found.options[key] for key in ("partition", "time", "array", "sbatch")}
    assert options == {"partition": "short", "time": 26 * 60, "array": 8, "sbatch": {"nice": 100}}


@pytest.mark.parametrize(("text", "minutes"), [("90", 90), ("01:30:00", 90), ("30:00", 30), ("2-00:00:00", 2880)])
def test_times_are_read_as_sbatch_reads_them(text, minutes):
    assert chosen("slurm", ["--time", text]).options["time"] == minutes


@pytest.mark.parametrize(
    ("on", "arguments", "said"),
    [
        ("slrum", (), "unknown executor 'slrum': did you mean 'slurm'?"),
        ("slurm", ("--partitoin", "x"), "unknown option of executor slurm 'partitoin': did you mean 'partition'?"),
        ("local", ("--sedes", "2"), "unknown option of executor local 'sedes': did you mean 'seeds'?"),
        ("slurm", ("--time", "soon"), "time"),
        ("slurm", ("--array", "0"), "greater than 0, not '0'"),
        ("slurm", ("--array",), "--array"),
        ("slurm", ("array",), "'array' belongs to no option"),
        ("none.toml", (), "No such file"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(on, arguments, said):
    with pytest.raises(UserError) as error:
        chosen(on, arguments, ["seeds", "methods"])
    assert said in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(("text", "said"), [("[on]", "needs a line such as on"), ("on = ", "not valid TOML")])
def test_a_bad_profile_is_said_in_a_line(tmp_path, text, said):
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(UserError, match=said):
        chosen(str(tmp_path / "bad.toml"))
