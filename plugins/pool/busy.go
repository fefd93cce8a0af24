package pool

// Busy is the failure of a job that the caller does not bring, since too many others of
// its kind are under way. It is counted.
func (p *Pool) Busy(why string) *Failure {
	p.Failed.add(ReasonBusy)
	return &Failure{Reason: ReasonBusy, Why: why}
}
