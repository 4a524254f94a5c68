// Signals and the threads of a program: its first thread handles them.
#pragma once

#include <pthread.h>

#include <csignal>

namespace vsync {

/// Runs `start` with all signals blocked, so that the thread it starts never handles one.
template <typename Start>
void without_signals(Start start) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  start();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace vsync
