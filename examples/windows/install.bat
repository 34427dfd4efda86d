@echo off
rem  From a certificate request to a checked web portal, by exit status alone.
rem
rem    install.bat WORKFOLDER
rem        tries everything out: a simulated authority sends the bundle
rem    install.bat WORKFOLDER BUNDLE.pfx PASSWORDFILE ROOT.pem
rem        installs the bundle that a real authority sent for NAME
rem
rem  It stops at the first step that fails and ends with that step's status.
rem  "onsite help exit-codes" tells what the numbers mean.

setlocal
set "ONSITE=%~dp0onsite.exe"
set "WORK=%~1"
set "NAME=portal.example.com"
set "BUNDLE=%~2"
set "PWFILE=%~3"
set "ROOT=%~4"
rem  In production: set "WEB=C:\Program Files (x86)\ClockOn Services\Web Server"
set "WEB=%WORK%\Web Server"
set "HTTP=127.0.0.1:8888"
set "HTTPS=127.0.0.1:4444"
rem  Every flag can be a variable: nothing below may ask.
set "ONSITE_NO_INPUT=1"

if "%WORK%"=="" (
  echo usage: install.bat WORKFOLDER [BUNDLE.pfx PASSWORDFILE ROOT.pem]
  exit /b 2
)

echo == 1. The request. Send %NAME%.csr to the authority; the key stays here.
if exist "%WORK%\request\%NAME%.key" goto :requested
"%ONSITE%" csr new %NAME% --country AU --state NSW --locality Newcastle --organization "Acme Bakery Pty Ltd" --email it@example.com --out "%WORK%\request"
if errorlevel 1 exit /b %ERRORLEVEL%
:requested
"%ONSITE%" csr show "%WORK%\request\%NAME%.csr"
if errorlevel 1 exit /b %ERRORLEVEL%

if not "%BUNDLE%"=="" goto :bundled
echo == 2. No bundle was named: a simulated authority sends one.
"%ONSITE%" demo --quiet --out "%WORK%\simulated"
if errorlevel 1 exit /b %ERRORLEVEL%
set "BUNDLE=%WORK%\simulated\bundle\%NAME%.pfx"
set "PWFILE=%WORK%\simulated\bundle\password.txt"
set "ROOT=%WORK%\simulated\authority\root.pem"
:bundled

echo == 3. The three files.
"%ONSITE%" pfx split "%BUNDLE%" --password-file "%PWFILE%" --host %NAME% --out "%WEB%" --force
if errorlevel 1 exit /b %ERRORLEVEL%

echo == 4. The portal, in the background until the check is done.
start "" /b "%ONSITE%" portal serve --dir "%WEB%" --http %HTTP% --https %HTTPS% --host %NAME%

echo == 5. The check, as a visitor. The portal may take a moment to start.
for /l %%i in (1,1,50) do (
  "%ONSITE%" portal check https://%NAME%:4444 --connect %HTTPS% --root "%ROOT%" --quiet >nul 2>nul
  if not errorlevel 1 goto :up
)
:up
"%ONSITE%" portal check https://%NAME%:4444 --connect %HTTPS% --root "%ROOT%"
set "RESULT=%ERRORLEVEL%"
taskkill /f /im onsite.exe >nul 2>nul
exit /b %RESULT%
