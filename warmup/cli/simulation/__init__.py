"""The pure circle against modelled receivers: what `warmup simulate` runs, and what judges it.

    setting     who sends where, for how long          post       carries messages to the modelled world
    circle      the adaptive controller                opponents  blind, notch, stage and the family of hindsight
    course      day after day, one controller          memory     a lane's findings and their fold
    tally       what became of a lane's day            trial      one ramp under one controller
    measures    how a ramp is judged (MODEL.md)        hindsight  what an oracle with a calendar would have chosen
    crew        many mailboxes over all cores          outside    a receiver that is a program
    chart       tables and bars for people

Every decision of the adaptive controller is made by the functions that the steps call: `allowance`, `judge_lane`,
`judge_mailbox`, `judge_domain`, the evidence's fold, `next_try` and `is_objection` of policy/. Only the driving is new.
"""
