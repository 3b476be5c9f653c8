"""What a policy is worth, by seeded simulation: how often it would act wrongly, what it would miss, how late it is.

`kinds` lists the stories that are simulated, `trial` tells one to a policy's `step`, `campaign` tells many of them on
all cores, `report` counts. Simulated figures only: simulator and rules have the same authors.
"""
