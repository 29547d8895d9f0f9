package config

import (
	"fmt"
	"math"
	"reflect"
	"time"
)

// strict refuses what viper would otherwise turn into something nobody wrote:
// 90 into 90 nanoseconds, 4.7 into 4.
func strict(from, to reflect.Type, value any) (any, error) {
	if to == reflect.TypeFor[time.Duration]() {
		text, ok := value.(string)
		if !ok {
			return nil, fmt.Errorf("a duration needs its unit, as in 90s, got %v", value)
		}
		d, err := time.ParseDuration(text)
		if err != nil {
			return nil, fmt.Errorf("reading a duration: %w", err)
		}
		return d, nil
	}
	if from.Kind() == reflect.Float64 && (to.Kind() == reflect.Int || to.Kind() == reflect.Int64) {
		f, _ := value.(float64)
		if f != math.Trunc(f) {
			return nil, fmt.Errorf("want a whole number, got %v", value)
		}
	}
	return value, nil
}
