"""Numbers that other papers print on the field's benchmarks, and which of them a run can be compared with."""
