/* SPDX-License-Identifier: MIT */
/*
 * long launcher_clone3(struct clone_args *args, size_t size, int (*fn)(void *), void *arg)
 *
 * clone3(2) for a child that shares our memory but runs on a stack of its own: the C library's
 * syscall() cannot do that, because both would return through the same frame. The child calls
 * fn(arg), which must not return to anybody: its value becomes the exit status. The parent gets the
 * pid or a negative errno. %r8 and %r9 survive the system call in both.
 */
#if defined(__x86_64__)
        .text
        .globl  launcher_clone3
        .hidden launcher_clone3
        .type   launcher_clone3, @function
launcher_clone3:
        .cfi_startproc
        movq    %rdx, %r8
        movq    %rcx, %r9
        movl    $435, %eax
        syscall
        testq   %rax, %rax
        jz      1f
        ret
1:
        .cfi_undefined rip
        xorl    %ebp, %ebp
        movq    %r9, %rdi
        call    *%r8
        movl    %eax, %edi
        movl    $231, %eax
        syscall
        hlt
        .cfi_endproc
        .size   launcher_clone3, . - launcher_clone3
        .section .note.GNU-stack, "", @progbits
#else
#error "launcher/clone.S: this machine needs its own few lines of assembly"
#endif
