import leaderboard

loaded = leaderboard.load("leaderboard/records/fashion-rules-1")  # or "results", where `ivi run` puts them
runs = loaded.runs[loaded.runs["status"] == "ok"]
by_method = runs.groupby("method")["test:nll"].agg(["mean", "std", "count"])
board = loaded.rows.pivot_table(index="method", columns="column", values="mean")
cheap = board.loc[board["fit"] <= 1.2, ["nll", "ece", "fit"]].sort_values("nll")
against_map = loaded.differences("nll", against="map").set_index("method")
clear = against_map.loc[(against_map["low"] > 0) | (against_map["high"] < 0), ["difference", "low", "high", "n"]]
