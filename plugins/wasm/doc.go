// Package wasm reads and writes the binary format of WebAssembly core 2.0
// (https://www.w3.org/TR/wasm-core-2/#binary-format): what wazero calls
// CoreFeaturesV2, vector instructions included, and nothing beyond.
//
// It serves the plugin host at deploy time: package meter takes a tenant's
// module apart with it, changes it and puts it together again. A module is
// hostile input, so:
//
//   - Every read is checked against the bytes that are there (Reader). Nothing
//     panics, whatever the bytes are.
//   - A count is believed only as far as the bytes behind it could hold that
//     many items, and only up to Limits; so memory and time are linear in the
//     input. (A decoder that allocates what a count says can be made to take
//     gigabytes by ten bytes.)
//   - Integers must be encoded as the specification says, with no unused bits
//     and no more bytes than their type may have. Whoever reads the same bytes
//     by the specification reads the same numbers.
//   - Module.Append and Instr.Raw write from what was understood, not from what was
//     read. So a difference between this reader and another one cannot be carried
//     into what is written. (There is one: see Instr.Raw.)
//
// It does not validate: types of operands are not checked, indices are checked
// by who follows them. It knows of each instruction what immediates it has and
// how many values it takes and leaves.
//
// There are no goroutines, and values are not safe for concurrent use while
// they are being changed. Slices in a Module point into the bytes that were
// parsed.
package wasm
