;; A program whose first byte of standard input says what it does. modes.wasm is this
;; after wat2wasm (wabt).
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 64) "no such thing")
  (data (i32.const 96) "etc/passwd")
  ;; 0: pointer and length of a buffer; 8: how much was read or written; 1024: the buffer
  (func $say (param $fd i32) (param $at i32) (param $n i32) (result i32)
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (local.get $n))
    (call $write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8)))
  (func (export "_start") (local $mode i32) (local $n i32)
    (i32.store (i32.const 0) (i32.const 1024))
    (i32.store (i32.const 4) (i32.const 65536))
    (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
    (local.set $n (i32.load (i32.const 8)))
    (local.set $mode (i32.load8_u (i32.const 1024)))
    ;; e: echo
    (if (i32.eq (local.get $mode) (i32.const 101))
      (then (drop (call $say (i32.const 1) (i32.const 1024) (local.get $n)))))
    ;; l: loop for ever
    (if (i32.eq (local.get $mode) (i32.const 108)) (then (loop $l (br $l))))
    ;; m: take memory until there is none, then trap
    (if (i32.eq (local.get $mode) (i32.const 109))
      (then
        (loop $g (br_if $g (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
        (unreachable)))
    ;; x: say something and exit with 3
    (if (i32.eq (local.get $mode) (i32.const 120))
      (then (drop (call $say (i32.const 2) (i32.const 64) (i32.const 13))) (call $exit (i32.const 3))))
    ;; b: write for ever
    (if (i32.eq (local.get $mode) (i32.const 98))
      (then (loop $w (br_if $w (i32.eqz (call $say (i32.const 1) (i32.const 1024) (i32.const 65536)))))))
    ;; t: the time and random numbers
    (if (i32.eq (local.get $mode) (i32.const 116))
      (then
        (drop (call $clock (i32.const 0) (i64.const 1) (i32.const 2048)))
        (drop (call $random (i32.const 2056) (i32.const 8)))
        (drop (call $say (i32.const 1) (i32.const 2048) (i32.const 16)))))
    ;; f: open a file: exit with the error
    (if (i32.eq (local.get $mode) (i32.const 102))
      (then (call $exit (call $open (i32.const 3) (i32.const 0) (i32.const 96) (i32.const 10) (i32.const 0)
        (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 2048)))))))
