package cache

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"sync"
)

// sealer encrypts entries whose author asked for it, with a key that lives as long as
// the Store and is nowhere else. The key is made when it is first needed.
type sealer struct {
	gcm func() cipher.AEAD
}

func newSealer() sealer {
	return sealer{sync.OnceValue(func() cipher.AEAD {
		var key [32]byte
		_, _ = rand.Read(key[:]) // never fails since Go 1.24
		block, err := aes.NewCipher(key[:])
		if err != nil {
			panic(err) // of a wrong length, which it has not
		}
		gcm, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			panic(err)
		}
		return gcm
	})}
}

func (s sealer) seal(k Key, text []byte) []byte { return s.gcm().Seal(nil, nil, text, k[:]) }

func (s sealer) open(k Key, sealed []byte) ([]byte, bool) {
	text, err := s.gcm().Open(nil, nil, sealed, k[:])
	return text, err == nil
}
