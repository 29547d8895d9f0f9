package hsm

import "errors"

// Ready is nil if some place can sign with the key now. Otherwise it wraps
// ErrUnavailable, or is ErrClosed: who asks first spares what a request that must
// fail would cost.
func (k *Key) Ready() error {
	t := k.token
	if t.life.Err() != nil {
		return ErrClosed
	}
	var errs []error
	for _, p := range t.places {
		s := p.state.Load()
		switch {
		case !s.up:
			errs = append(errs, s.refusal())
		case k.identity(p) != nil:
			return nil
		}
	}
	return errors.Join(append(errs, ErrUnavailable)...)
}
