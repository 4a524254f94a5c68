// What systemd is told and what it hands over (sd_notify, the watchdog, socket activation). Without systemd nothing happens.
#pragma once

#include <chrono>
#include <string>

namespace vsync::io::systemd {

void ready();
/// One line for `systemctl status`.
void status(const std::string& text);
void reloading();
void stopping();
void alive();  ///< feeds the watchdog
/// How often alive() must be called at least; 0 = no watchdog is set.
[[nodiscard]] std::chrono::microseconds watchdog_interval();
/// The listening Unix socket of socket activation, -1 = none. Owned by the caller.
[[nodiscard]] int listen_socket();
/// Standard error is connected to the journal, which wants structured entries rather than lines.
[[nodiscard]] bool logs_to_journal();

}  // namespace vsync::io::systemd
