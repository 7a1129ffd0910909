package portal

import (
	"fmt"
	"math"
	"strconv"
)

// darkAccent is an accent for the dark theme: the same colour, made as light as its
// text there needs to be read, and the colour of text on it.
func darkAccent(hex string) (accent, on string) {
	n, err := strconv.ParseUint(hex, 16, 32)
	if err != nil {
		return "#4FD1B5", "#06201B"
	}
	r, g, b := float64(n>>16&255), float64(n>>8&255), float64(n&255)
	const ground = 0.0091 // luminance of the lightest dark ground, #191C1A
	for range 60 {
		if (luminance(r, g, b)+0.05)/(ground+0.05) >= 5.6 {
			break
		}
		r, g, b = r+(255-r)*0.06, g+(255-g)*0.06, b+(255-b)*0.06
	}
	return fmt.Sprintf("#%02X%02X%02X", int(r), int(g), int(b)), "#0C0E0D"
}

func luminance(r, g, b float64) float64 {
	part := func(v float64) float64 {
		if v /= 255; v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	return 0.2126*part(r) + 0.7152*part(g) + 0.0722*part(b)
}
