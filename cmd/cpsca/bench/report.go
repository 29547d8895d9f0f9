package bench

func writeReport(folder string, r *Result) error { return nil }
