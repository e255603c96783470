/* What a Cortex-M4 needs before main: where its stack begins, and its floating-point unit. */
extern void _start(void);
void reset(void);
void reset(void)
{
    *(volatile unsigned *)0xE000ED88 |= 0xFu << 20;
    __asm volatile("dsb\n\tisb");
    _start();
}
__attribute__((section(".vectors"), used)) static void (*const vectors[])(void) = {(void (*)(void))0x20400000, reset};
