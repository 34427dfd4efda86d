package ca_test

import (
	"fmt"
	"os"
	"time"

	"onsite/ca"
	"onsite/csr"
	"onsite/report"
)

// request makes the request that a server's owner would send.
func request(name string) (*csr.Info, error) {
	r, _ := csr.Prepare(csr.Spec{Subject: csr.Subject{CommonName: name}})
	key, err := csr.GenerateKey(csr.DefaultKey)
	if err != nil {
		return nil, err
	}
	der, err := r.Sign(key)
	if err != nil {
		return nil, err
	}
	return csr.Parse(der)
}

func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	password := []byte("four words of salt")

	plan, findings := ca.Prepare(ca.Spec{Name: "Acme Bakery", Permit: []string{"acme.example"}})
	if plan == nil {
		fmt.Println(findings)
		return
	}
	authority, err := plan.Make(time.Now())
	if err == nil {
		_, err = authority.Write(dir, ca.WriteOptions{Password: password})
	}
	if err != nil {
		fmt.Println(err)
		return
	}

	folder, err := ca.Open(dir, ca.Options{})
	if err == nil {
		err = folder.Unlock(password)
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, name := range []string{"portal.acme.example", "portal.example.com"} {
		r, err := request(name)
		if err != nil {
			fmt.Println(err)
			return
		}
		draft, findings := folder.Authority.Prepare(r, ca.Profile{})
		if draft == nil {
			report.Text(os.Stdout, findings, report.TextOptions{Brief: true})
			continue
		}
		cert, err := folder.Issue(draft)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(cert.Issuer.CommonName, "signs for", cert.DNSNames[0])
	}
	fmt.Println(len(folder.Log), "in the log")
	// Output:
	// Acme Bakery issuing authority signs for portal.acme.example
	// [fail] portal.example.com: this authority may issue only for acme.example:
	//        clients would reject the certificate
	//        -> correct the name in the request, or make another authority that
	//           permits it: onsite ca init --permit
	//        (onsite explain ca.name.outside)
	// 1 in the log
}

func ExampleSelfSign() {
	request, findings := csr.Prepare(csr.Spec{Subject: csr.Subject{CommonName: "portal.acme.example"}})
	draft, findings, err := ca.PrepareSelf(request, findings, ca.Profile{Days: 397})
	if err != nil || len(findings) > 0 {
		fmt.Println(findings, err)
		return
	}
	key, err := csr.GenerateKey(csr.DefaultKey)
	if err != nil {
		fmt.Println(err)
		return
	}
	cert, err := ca.SelfSign(draft, key)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(cert.Subject, cert.DNSNames)
	// Output: CN=portal.acme.example [portal.acme.example]
}
